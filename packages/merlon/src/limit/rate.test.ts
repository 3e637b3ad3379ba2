import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { RateLimiter } from './rate.ts'

const start = 1_800_000_000_000
const rate = fc.record({ callsMax: fc.integer({ min: 1, max: 50 }), windowMs: fc.integer({ min: 1_000, max: 60_000 }) })
/** Pauses between calls: mostly none, some of the order of the spacing, some that let the bucket fill. */
const pauses = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: fc.constant(0) },
    fc.integer({ min: 1, max: 500 }),
    fc.integer({ min: 0, max: 90_000 }),
  ),
  { minLength: 1, maxLength: 120 },
)

describe('RateLimiter', () => {
  test('RL-01: admits what a bucket of exact tokens admits, and in any window at most the burst and its refill', () => {
    fc.assert(
      fc.property(rate, pauses, ({ callsMax, windowMs }, waits) => {
        const limiter = new RateLimiter({ callsMax, windowMs })
        const admitted: number[] = []
        // The model counts in units of 1/callsMax ms, so that it never rounds.
        const full = BigInt(callsMax) * BigInt(windowMs)
        let tokens = full
        let now = start
        for (const wait of waits) {
          now += wait
          tokens += BigInt(wait) * BigInt(callsMax)
          if (tokens > full) tokens = full
          const allowed = tokens >= BigInt(windowMs)
          expect(limiter.take('b', now) === 0).toBe(allowed)
          if (allowed) {
            tokens -= BigInt(windowMs)
            admitted.push(now)
          }
        }
        for (const [first, from] of admitted.entries()) {
          for (let last = first; last < admitted.length; last++) {
            const span = admitted[last]! - from
            expect(last - first + 1).toBeLessThanOrEqual(callsMax + Math.floor((span * callsMax) / windowMs))
          }
        }
      }),
      { numRuns: 300 },
    )
  })

  test('RL-05: the wait it names is true: refused a millisecond before, admitted then', () => {
    fc.assert(
      fc.property(rate, fc.integer({ min: 0, max: 400 }), (limit, offset) => {
        const limiter = new RateLimiter(limit)
        for (let call = 0; call < limit.callsMax; call++) expect(limiter.take('b', start)).toBe(0)
        const now = start + Math.min(offset, Math.floor(limit.windowMs / limit.callsMax) - 1)
        const wait = limiter.take('b', now)
        expect(Number.isSafeInteger(wait) && wait > 0).toBe(true)
        expect(limiter.take('b', now + wait - 1)).toBe(1)
        expect(limiter.take('b', now + wait)).toBe(0)
      }),
      { numRuns: 300 },
    )
  })

  test('fifty calls at once on a bucket of ten admit ten, and the next comes a tenth of a window later', async () => {
    const limiter = new RateLimiter({ callsMax: 10, windowMs: 1_000 })
    const takes = await Promise.all(Array.from({ length: 50 }, async () => limiter.take('b', start)))
    expect(takes.filter((wait) => wait === 0)).toHaveLength(10)
    expect(limiter.take('b', start + 99)).toBe(1)
    expect(limiter.take('b', start + 100)).toBe(0)
  })

  test('a bucket at rest holds every call of a large limit: rounding takes none of them', () => {
    for (const callsMax of [19, 7_000, 99_991]) {
      const limiter = new RateLimiter({ callsMax, windowMs: 60_000 })
      let admitted = 0
      while (limiter.take('b', start) === 0) admitted++
      expect(admitted).toBe(callsMax)
    }
  })

  test('a refused call costs nothing', () => {
    const limiter = new RateLimiter({ callsMax: 1, windowMs: 1_000 })
    limiter.take('b', start)
    for (let call = 0; call < 100; call++) expect(limiter.take('b', start + 500)).toBe(500)
    expect(limiter.take('b', start + 1_000)).toBe(0)
  })

  test('buckets do not touch each other, whatever their names', () => {
    const limiter = new RateLimiter({ callsMax: 1, windowMs: 1_000 })
    for (const name of ['a', 'b', '', '__proto__', 'constructor']) expect(limiter.take(name, start)).toBe(0)
    for (const name of ['a', 'b', '', '__proto__', 'constructor']) expect(limiter.take(name, start)).toBe(1_000)
  })

  test('RL-17: holds no more buckets than it may; beyond that a new one is refused and the known ones go on', () => {
    const limiter = new RateLimiter({ callsMax: 2, windowMs: 1_000 }, 3)
    for (const name of ['a', 'b', 'c']) expect(limiter.take(name, start)).toBe(0)
    expect(limiter.take('d', start)).toBe(1_000)
    expect(limiter.take('a', start)).toBe(0)
    expect(limiter.take('a', start)).toBeGreaterThan(0)
    // b and c are at rest again and make room; a is not.
    expect(limiter.take('d', start + 500)).toBe(0)
    expect(limiter.sweep(start + 500)).toBe(0)
    expect(limiter.sweep(start + 1_000)).toBe(2)
    expect(limiter.sweep(start + 1_000)).toBe(0)
  })

  test('a clock that goes back admits nothing that it would not have', () => {
    const limiter = new RateLimiter({ callsMax: 2, windowMs: 1_000 })
    expect([limiter.take('b', start), limiter.take('b', start)]).toEqual([0, 0])
    expect(limiter.take('b', start - 5_000)).toBeGreaterThan(0)
    expect(limiter.take('b', start + 499)).toBe(1)
  })
})
