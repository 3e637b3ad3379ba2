import { describe, expect, test } from 'vitest'
import { arrivalOf, gateWith, limiterWith, now } from '../guard/arrival.fixture.ts'
import { authenticate } from '../guard/authenticate.ts'
import type { Verdict } from '../identity/verdict.ts'
import { failureCounter } from './failure-counter.ts'

const address = '192.0.2.1'
const tooMany = expect.objectContaining({
  code: 'rate.exceeded',
  detail: expect.objectContaining({ reason: 'failed-authentication' }),
})
const bad = expect.objectContaining({ code: 'credential.invalid' })

/** An address that may fail ten times, by what is counted before a question and by what is refused. */
function counting() {
  const limiter = limiterWith([], 10)
  const failures = failureCounter(limiter, () => now)
  const show = (more: Partial<Extract<Verdict, { ok: false }>> = {}) => {
    const verdict: Verdict = { ok: false, reason: 'token-inactive', credential: undefined, ...more }
    const gate = gateWith({ limiter, verify: () => verdict })
    return authenticate({ ...arrivalOf({ headers: { authorization: 'Bearer bad' } }, gate), address, requestId: 'r1' })
  }
  return { failures, take: () => failures.take(failures.networkOf(address)), show }
}

describe('RS-12: what is counted before an issuer is asked', () => {
  test('uses up the guesses of an address, with those that fail elsewhere', () => {
    const { take, show } = counting()
    for (let at = 0; at < 5; at++) {
      take()
      expect(() => show()).toThrow(bad)
    }
    expect(take).toThrow(tooMany)
    expect(() => show()).toThrow(tooMany)
  })

  test('uses up none where it is given back', async () => {
    const { failures, take, show } = counting()
    for (let at = 0; at < 100; at++) {
      take()
      failures.giveBack(failures.networkOf(address))
    }
    for (let at = 0; at < 10; at++) expect(() => show()).toThrow(bad)
    expect(() => show()).toThrow(tooMany)
  })

  test('is not counted again where it turns out to be one', () => {
    const { take, show } = counting()
    for (let at = 0; at < 10; at++) {
      take()
      expect(() => show({ counted: true })).toThrow(bad)
    }
    expect(take).toThrow(tooMany)
  })

  test('is counted for all of what one client owns of IPv6', () => {
    const { failures } = counting()
    expect(failures.networkOf('2001:db8:1:2::1')).toBe(failures.networkOf('2001:db8:1:2:ffff::9'))
  })
})
