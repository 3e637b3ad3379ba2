import { expect, test } from 'vitest'
import { arrivalOf, gateWith, now, principalWith } from './arrival.fixture.ts'
import { confirmCredential } from './confirm-credential.ts'
import type { Gate } from './gate.ts'

const revoked: Gate['verify'] = () => ({ ok: false, reason: 'revoked', credential: 'key_1' })

/** A call whose body took so long; who it is was asked when it came. */
function bodyAfter(ms: number, verify: Gate['verify']) {
  const gate = gateWith({ verify })
  return {
    ...arrivalOf({ headers: { 'x-api-key': 'good' } }, gate),
    principal: principalWith(['read']),
    address: '192.0.2.1',
    requestId: 'r1',
    startedAt: now - ms,
    body: Buffer.from('{}'),
  }
}

test('AK-07: a key that was revoked while the body came is refused', () => {
  expect(() => confirmCredential(bodyAfter(1_000, revoked))).toThrow(
    expect.objectContaining({ code: 'credential.invalid' }),
  )
})

test('AK-07: rights that changed while the body came are those of the call', () => {
  const less = principalWith(['read', 'write'], ['read'])
  expect(confirmCredential(bodyAfter(30_000, () => ({ ok: true, principal: less })))).toEqual({ principal: less })
})

test('a body that came at once asks nobody again', () => {
  const asked = () => {
    throw new Error('asked')
  }
  for (const ms of [0, 999, -5]) expect(confirmCredential(bodyAfter(ms, asked))).toEqual({})
})
