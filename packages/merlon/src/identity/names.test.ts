import fc from 'fast-check'
import { expect, test } from 'vitest'
import { canonicalEmail, canonicalScopes, namePattern } from './names.ts'

test('an e-mail is kept in lower case, and is of ASCII alone', () => {
  expect(canonicalEmail('Ann.Lee+x@Example.COM')).toBe('ann.lee+x@example.com')
  for (const none of [
    '',
    'ann',
    '@example.com',
    'ann@',
    'ann@-x.com',
    'a b@x.com',
    'ann@x..com',
    'ann@x.com\n',
    'аnn@x.com',
  ])
    expect(canonicalEmail(none), none).toBeUndefined()
  expect(canonicalEmail(`${'a'.repeat(64)}@${'b.'.repeat(90)}com`)).toHaveLength(248)
  expect(canonicalEmail(`${'a'.repeat(65)}@b.com`)).toBeUndefined()
  expect(canonicalEmail(`${'a'.repeat(64)}@${'b.'.repeat(100)}com`)).toBeUndefined()
  // The sign of the Kelvin becomes an ordinary k in lower case, and would be taken for one.
  expect(canonicalEmail('\u212Aim@x.com')).toBeUndefined()
})

test('the canonical form of an e-mail is its own', () => {
  fc.assert(
    fc.property(fc.emailAddress(), (text) => {
      const email = canonicalEmail(text)
      if (email !== undefined) expect(canonicalEmail(email.toUpperCase())).toBe(email)
    }),
  )
})

test('scopes are sorted, each once, bounded, and well formed', () => {
  expect(canonicalScopes(['write', 'read', 'write'])).toEqual(['read', 'write'])
  expect(canonicalScopes([])).toEqual([])
  expect(canonicalScopes(['Read'])).toBeUndefined()
  expect(canonicalScopes(Array.from({ length: 65 }, (_, i) => `s${i}`))).toBeUndefined()
})

test('no name begins as that of a removed user, nor holds what a terminal would act on', () => {
  for (const name of ['!usr_1', '\u001b[31m', 'a\nb', '\u202ea', '', ' a', 'x'.repeat(65)])
    expect(namePattern.test(name), name).toBe(false)
  for (const name of ['ann', 'Ann Lee', 'Åsa', '李雷', 'ci@build/7']) expect(namePattern.test(name), name).toBe(true)
})
