import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { verifier } from './credentials.ts'
import { type Authenticator, accept, reject } from './identity/authenticator.ts'
import { scopeSet } from './policy/scopes.ts'

beforeEach(() => vi.useFakeTimers())
afterEach(() => vi.useRealTimers())

const now = 1_800_000_000_000
const request = { address: '192.0.2.1', requestId: 'r1' }
const asked: string[] = []
const keys = {
  verify: (credential: string) => {
    asked.push(credential)
    return { ok: false, reason: 'unknown', credential: undefined } as const
  },
}
const verify = (authenticate: Authenticator['authenticate']) =>
  verifier(keys, { authenticate }, new Map([['user', scopeSet(['read', 'write'])]]), () => now)

test('what begins like a key of ours is never shown to the authenticator', async () => {
  const authenticate = vi.fn()
  await verify(authenticate)('mrl_x', request)
  expect(authenticate).not.toHaveBeenCalled()
  expect(asked).toContain('mrl_x')
})

test('what it accepts acts within its role, what it rejects is refused', async () => {
  const good = accept({ subject: 'ann', scopes: ['read', 'admin'], expiresAt: now + 1 })
  expect(await verify(() => good)('token', request)).toMatchObject({
    ok: true,
    principal: { id: 'ann', kind: 'external' },
  })
  expect(await verify(() => reject('expired'))('token', request)).toEqual({
    ok: false,
    reason: 'expired',
    credential: undefined,
  })
})

test.each([
  ['throws', () => Promise.reject(new Error('the directory is down'))],
  ['never answers', () => new Promise<never>(() => undefined)],
])('one that %s is an outage of ours, not a bad credential', async (_what, authenticate) => {
  const refused = expect(verify(authenticate)('token', request)).rejects.toMatchObject({ code: 'store.unavailable' })
  await vi.advanceTimersByTimeAsync(5_000)
  await refused
  expect(vi.getTimerCount()).toBe(0)
})

test.each([true, {}, { ok: true }, { subject: 'ann', scopes: ['admin'], expiresAt: now + 1 }, undefined])(
  'an answer of %o denies',
  async (answer) => {
    expect(await verify(() => answer as never)('token', request)).toMatchObject({ ok: false })
  },
)
