import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { readQuery } from './query.ts'

const refused = expect.objectContaining({ code: 'fields.invalid' })

test('a query is read as it was meant, whatever is in it', () => {
  fc.assert(
    fc.property(
      fc.dictionary(fc.string({ minLength: 1, unit: 'grapheme' }), fc.string({ unit: 'grapheme' }), { maxKeys: 10 }),
      (query) => {
        const text = new URLSearchParams(query).toString()
        expect({ ...readQuery(text === '' ? '' : `?${text}`) }).toEqual({ ...query })
      },
    ),
  )
  expect({ ...readQuery('') }).toEqual({})
  expect({ ...readQuery('?') }).toEqual({})
  expect({ ...readQuery('?a') }).toEqual({ a: '' })
  expect({ ...readQuery('?a=b=c') }).toEqual({ a: 'b=c' })
})

test.each(['?a=1&a=2', '?a=1&%61=2', '?a=%ff', '?%zz=1', '?a=%', `?${'a&'.repeat(60)}`, '?a=1&&&'])(
  'AU-10: %j is refused: it could mean two things, or none',
  (text) => {
    expect(() => readQuery(text)).toThrow(refused)
  },
)

test('a name is a name, whatever objects are called by', () => {
  const query = readQuery('?__proto__=x&constructor=y')
  expect(Object.getPrototypeOf(query)).toBeNull()
  expect(Object.entries(query)).toEqual([
    ['__proto__', 'x'],
    ['constructor', 'y'],
  ])
})
