import { describe, expect, test } from 'vitest'
import { type ErrorCode, errors, Fault } from '../errors.ts'
import { SlidingCount, signalsOf } from './signals.ts'

describe('what a refusal is a sign of', () => {
  test.each<[ErrorCode, string | undefined, readonly string[]]>([
    ['credential.missing', undefined, ['authenticationFailures']],
    ['credential.doubled', undefined, ['authenticationFailures']],
    ['credential.invalid', 'unknown', ['authenticationFailures', 'invalidApiKeys']],
    ['login.refused', undefined, ['authenticationFailures']],
    ['rate.exceeded', 'principal', ['rateLimitExceeded']],
    ['rate.exceeded', 'failed-authentication', ['authenticationFailures', 'invalidApiKeys', 'rateLimitExceeded']],
    ['session.unknown', 'session', ['sessionViolations']],
    ['session.missing', undefined, ['sessionViolations']],
    ['session.capacity', undefined, ['sessionViolations']],
    ['stream.taken', undefined, ['sessionViolations']],
    ['scope.missing', undefined, []],
    ['internal', undefined, []],
  ])('%s (%s)', (code, reason, expected) => {
    expect(signalsOf(new Fault(code, reason === undefined ? {} : { reason }))).toEqual(expected)
  })

  test('every 401 and every 429 is one', () => {
    const codes = (Object.keys(errors) as ErrorCode[]).filter((code) => [401, 429].includes(errors[code].http))
    expect(codes.filter((code) => signalsOf(new Fault(code)).length === 0)).toEqual([])
  })
})

describe('a sliding count', () => {
  test('holds what came within its span, to within a sixtieth', () => {
    const count = new SlidingCount(60_000)
    expect(count.count(1_000_000)).toBe(0)
    count.add(1_000_000)
    count.add(1_000_999)
    count.add(1_030_000, 3)
    expect(count.count(1_059_999)).toBe(5)
    expect(count.count(1_060_000)).toBe(3)
    expect(count.count(1_089_999)).toBe(3)
    expect(count.count(1_090_000)).toBe(0)
  })

  test('forgets all after a pause, however long', () => {
    const count = new SlidingCount(60_000)
    count.add(0)
    expect(count.count(86_400_000)).toBe(0)
    count.add(86_400_000)
    expect(count.count(86_459_999)).toBe(1)
  })

  test('takes a moment that lies behind for the latest', () => {
    const count = new SlidingCount(60_000)
    count.add(100_000)
    count.add(40_000)
    expect(count.count(159_999)).toBe(2)
    expect(count.count(160_000)).toBe(0)
  })
})
