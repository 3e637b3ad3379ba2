import { expect, test } from 'vitest'
import { scopeSet } from '../policy/scopes.ts'
import { accept, reject, type Subject, verdictOf } from './authenticator.ts'

const now = 1_800_000_000_000
const roles = new Map([['user', scopeSet(['read', 'write'])]])
const good: Subject = { subject: 'alice', scopes: ['read', 'files:write'], expiresAt: now + 1_000 }
const judged = (change: object = {}) => verdictOf(accept({ ...good, ...change }), roles, now)

test('A19: an accepted subject gets what its role and its credential both hold, until its credential ends', () => {
  expect(judged()).toMatchObject({
    ok: true,
    principal: { id: 'alice', kind: 'external', tenant: 'default', role: 'user', expiresAt: now + 1_000 },
  })
  const verdict = judged()
  expect(verdict.ok && [...verdict.principal.effective]).toEqual(['read'])
  const roleless = judged({ role: 'constructor' })
  expect(roleless.ok && roleless.principal.effective.size).toBe(0)
})

test('A19: nothing but a complete acceptance lets anybody in', () => {
  for (const answer of [true, 'valid', { subject: 'alice' }, good, { ok: true }, null, undefined, accept])
    expect(verdictOf(answer, roles, now)).toEqual({ ok: false, reason: 'no-answer', credential: undefined })
  expect(verdictOf(reject('why'), roles, now)).toEqual({ ok: false, reason: 'why', credential: undefined })
  const incomplete: [object, string][] = [
    [{ subject: '' }, 'subject'],
    [{ subject: 'a\nb' }, 'subject'],
    [{ tenant: '' }, 'tenant'],
    [{ tenant: 'a\nb' }, 'tenant'],
    [{ scopes: 'read' }, 'scopes'],
    [{ scopes: ['read write'] }, 'scopes'],
  ]
  for (const [change, reason] of incomplete) expect(judged(change)).toMatchObject({ ok: false, reason })
})

test('AK-06: a credential that never ends is none', () => {
  for (const expiresAt of [now, 0, -1, Number.NaN, Number.POSITIVE_INFINITY, undefined, null, String(now + 1_000)])
    expect(judged({ expiresAt })).toMatchObject({ ok: false, reason: 'expired' })
})
