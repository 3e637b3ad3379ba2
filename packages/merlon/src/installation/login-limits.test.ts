import { expect, test } from 'vitest'
import { limitOf, takeOf } from '../limit/limit-store.ts'
import { MemoryLimitStore } from '../store/memory/limit-store.ts'
import { loginLimits } from './login-limits.ts'

const now = 1_000_000

test('RL-03: attempts to sign in, from addresses without number, take no room from those who are known', async () => {
  const store = new MemoryLimitStore(8)
  const logins = loginLimits(
    () => store,
    { attemptsMax: 10, windowMs: 900_000 },
    () => now,
  )
  const attempt = async (at: number) =>
    logins.take([
      { per: 'account', name: `account ${at}` },
      { per: 'address', name: `2001:db8::${at}` },
    ])
  expect([await attempt(1), await attempt(2), await attempt(3)]).toEqual([0, 0, 1_000])
  const calls = limitOf({ name: 'calls', callsMax: 1, windowMs: 1_000 })
  const known = ['a', 'b', 'c', 'd', 'e'].map((each) => store.take([takeOf(calls, [each])], now).ok)
  expect(known).toEqual([true, true, true, true, false])
})
