import { expect, test } from 'vitest'
import { RateLimiter } from '../limit/rate.ts'
import { arrivalOf, gateWith, principalWith } from './arrival.fixture.ts'
import { proved } from './chain.ts'
import { limitPrincipal } from './limit-principal.ts'

const principal = principalWith(['read'])

test('a principal has one bucket, whatever its address, and another principal another', () => {
  const gate = gateWith({ calls: new RateLimiter({ callsMax: 2, windowMs: 60_000 }) })
  const call = (peerAddress: string, binding = principal.binding) =>
    limitPrincipal({ ...arrivalOf({ peerAddress }, gate), principal: { ...principal, binding } })
  expect(call('192.0.2.1')).toBe(proved)
  expect(call('192.0.2.2')).toBe(proved)
  expect(() => call('192.0.2.3')).toThrow(
    expect.objectContaining({
      code: 'rate.exceeded',
      detail: { retryAfterMs: 30_000, reason: 'principal', limit: { name: 'calls', callsMax: 2, windowMs: 60_000 } },
    }),
  )
  expect(call('192.0.2.1', 'somebody else')).toBe(proved)
})

test('without a limit every call passes', () => {
  expect(limitPrincipal({ ...arrivalOf({}), principal })).toBe(proved)
})

test('a clock that is set back or forth neither locks a principal out nor lets it off', () => {
  let [clock, steady] = [2_000_000, 0]
  const gate = gateWith({
    clock: () => clock,
    steadyClock: () => steady,
    calls: new RateLimiter({ callsMax: 1, windowMs: 60_000 }),
  })
  const call = () => limitPrincipal({ ...arrivalOf({}, gate), principal })
  expect(call()).toBe(proved)
  clock += 3_600_000
  expect(call).toThrow('rate.exceeded')
  clock -= 7_200_000
  steady += 60_000
  expect(call()).toBe(proved)
})
