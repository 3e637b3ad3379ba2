import * as fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Awaitable, Instant } from '../call.ts'
import { type Limit, type LimitStore, limitOf, type Take, takeOf } from './limit-store.ts'

export interface ContractOptions {
  /** Runs of the comparison with the model. */
  readonly runs: number
  /** The same buckets as another process sees them; absent where they are one process's own. */
  readonly beside?: () => Awaitable<LimitStore>
}

const start: Instant = 1_800_000_000_000

/** What every adapter promises. `open` gives a store that takes the time it is told for the time it is. */
export function limitStoreContract(name: string, open: () => Awaitable<LimitStore>, options: ContractOptions): void {
  describe(`LimitStore: ${name}`, () => {
    let store: LimitStore
    let names = 0
    beforeAll(async () => {
      store = await open()
    })
    afterAll(() => store.close())

    /** A limit whose buckets no other test has used. */
    const fresh = (callsMax: number, windowMs = 1_000, burst?: number, told = true): Limit =>
      limitOf({ name: `limit-${++names}`, callsMax, windowMs, burst, told })
    const one = (limit: Limit, cost = 1, bucket = 'b'): Take => takeOf(limit, [bucket], cost)
    const take = async (takes: readonly Take[], now: Instant) => store.take(takes, now)
    const drain = async (of: Take, now: Instant): Promise<number> => {
      for (let admitted = 0; admitted < 1_000; admitted++) if (!(await store.take([of], now)).ok) return admitted
      throw new Error('a bucket without a bottom')
    }

    test('RL-01: fifty takes at once from a bucket of ten: ten are given', async () => {
      const limit = fresh(10)
      const answers = await Promise.all(Array.from({ length: 50 }, () => take([one(limit)], start)))
      expect(answers.filter(({ ok }) => ok)).toHaveLength(10)
    })

    test('the last millisecond before a call is there, and the first when it is', async () => {
      const limit = fresh(10)
      expect(await drain(one(limit), start)).toBe(10)
      expect(await take([one(limit)], start + 99)).toMatchObject({ ok: false, limit, retryAfterMs: 1 })
      expect(await take([one(limit)], start + 100)).toMatchObject({ ok: true, remaining: 0 })
      expect(await take([one(limit)], start + 100)).toMatchObject({ ok: false, retryAfterMs: 100 })
    })

    test('a window later the bucket is full again, and holds no more than that', async () => {
      const limit = fresh(10)
      await drain(one(limit), start)
      expect(await drain(one(limit), start + 1_000)).toBe(10)
      expect(await drain(one(limit), start + 100_000)).toBe(10)
    })

    test('RL-01: takes from every bucket or from none, and names the one to wait for longest', async () => {
      const [wide, narrow, slow] = [fresh(5), fresh(1), fresh(1, 7_000)]
      expect(await take([one(wide), one(narrow), one(slow)], start)).toMatchObject({ ok: true })
      expect(await take([one(wide), one(narrow), one(slow)], start)).toEqual({
        ok: false,
        limit: slow,
        retryAfterMs: 7_000,
        remaining: 0,
      })
      expect(await take([one(wide), one(narrow)], start)).toEqual({
        ok: false,
        limit: narrow,
        retryAfterMs: 1_000,
        remaining: 0,
      })
      expect(await drain(one(wide), start)).toBe(4)
    })

    test('RL-06: a dear call takes what it costs', async () => {
      const limit = fresh(10)
      expect(await take([one(limit, 7)], start)).toMatchObject({ ok: true, remaining: 3 })
      expect(await take([one(limit, 7)], start)).toEqual({ ok: false, limit, retryAfterMs: 400, remaining: 3 })
      expect(await drain(one(limit), start)).toBe(3)
    })

    test('what costs more than the bucket holds is never given and takes nothing', async () => {
      const limit = fresh(10)
      for (const now of [start, start + 1_000, start + 1_000_000])
        expect(await take([one(limit, 11)], now)).toEqual({ ok: false, limit, retryAfterMs: 1_000, remaining: 10 })
      expect(await drain(one(limit), start + 1_000_000)).toBe(10)
    })

    test('a burst is what is given at once; after it calls come at the rate', async () => {
      const [small, large] = [fresh(10, 1_000, 3), fresh(10, 1_000, 25)]
      expect(await drain(one(small), start)).toBe(3)
      expect(await drain(one(large), start)).toBe(25)
      for (const limit of [small, large]) {
        expect(await drain(one(limit), start + 99)).toBe(0)
        expect(await drain(one(limit), start + 100)).toBe(1)
        expect(await drain(one(limit), start + 350)).toBe(2)
      }
    })

    test('rounding takes no call of a large limit in an odd window', async () => {
      const limit = fresh(9_973, 60_007)
      expect(await take([one(limit, 9_972)], start)).toMatchObject({ ok: true, remaining: 1 })
      expect(await drain(one(limit), start)).toBe(1)
      expect(await take([one(limit, 9_973)], start + 60_006)).toMatchObject({ ok: false, limit, retryAfterMs: 1 })
      expect(await take([one(limit, 9_973)], start + 60_007)).toMatchObject({ ok: true, remaining: 0 })
    })

    test('RL-05: tells what is left of the limit nearest its end, and when it grows', async () => {
      const [wide, narrow] = [fresh(10), fresh(4, 8_000)]
      expect(await take([one(wide), one(narrow)], start)).toEqual({
        ok: true,
        limit: narrow,
        remaining: 3,
        refillMs: 2_000,
      })
      expect(await take([one(wide), one(narrow)], start + 500)).toEqual({
        ok: true,
        limit: narrow,
        remaining: 2,
        refillMs: 1_500,
      })
    })

    test('RL-05: a bucket that others share is counted and not told', async () => {
      const [shared, own] = [fresh(2, 1_000, undefined, false), fresh(9)]
      expect(await take([one(shared), one(own)], start)).toMatchObject({ limit: own, remaining: 8 })
      expect(await take([one(shared)], start)).toEqual({ ok: true, limit: undefined, remaining: 0, refillMs: 0 })
      expect(await take([one(shared), one(own)], start)).toMatchObject({ ok: false, limit: shared })
    })

    test('a refused take costs nothing', async () => {
      const limit = fresh(1)
      await take([one(limit)], start)
      for (let at = 0; at < 20; at++) expect(await take([one(limit)], start + 500)).toMatchObject({ retryAfterMs: 500 })
      expect(await take([one(limit)], start + 1_000)).toMatchObject({ ok: true })
    })

    test('nothing to take is taken', async () => {
      expect(await take([], start)).toEqual({ ok: true, limit: undefined, remaining: 0, refillMs: 0 })
    })

    test('buckets do not touch each other, whatever their names', async () => {
      const limit = fresh(1)
      const all = ['a', 'b', '', '__proto__', 'constructor', '{x}', 'ä\u2028']
      for (const bucket of all) expect(await take([one(limit, 1, bucket)], start)).toMatchObject({ ok: true })
      for (const bucket of all) expect(await take([one(limit, 1, bucket)], start)).toMatchObject({ ok: false })
    })

    test('what is given back can be taken again, and no more than that', async () => {
      const limit = fresh(3)
      await drain(one(limit), start)
      await store.giveBack([one(limit)], start)
      expect(await drain(one(limit), start)).toBe(1)
      await store.giveBack([one(limit, 100)], start)
      expect(await drain(one(limit), start)).toBe(3)
      await store.giveBack([one(fresh(1))], start)
    })

    test('peek refuses only what take would refuse, and takes nothing', async () => {
      const limit = fresh(2)
      expect(store.peek([one(limit)], start)).toBeUndefined()
      await drain(one(limit), start)
      const peeked = store.peek([one(limit)], start + 100)
      if (peeked !== undefined) expect(peeked).toEqual({ ok: false, limit, retryAfterMs: 400, remaining: 0 })
      expect(store.peek([one(limit)], start + 500)).toBeUndefined()
      expect(await drain(one(limit), start + 500)).toBe(1)
    })

    test('a clock that goes back admits nothing that it would not have, and the wait stays true', async () => {
      const limit = fresh(2)
      await drain(one(limit), start)
      expect(await take([one(limit)], start - 400)).toMatchObject({ ok: false, retryAfterMs: 900 })
      expect(await take([one(limit)], start + 499)).toMatchObject({ ok: false, retryAfterMs: 1 })
      expect(await take([one(limit)], start + 500)).toMatchObject({ ok: true })
    })

    test('a clock that was far ahead locks no bucket for longer than it takes to fill', async () => {
      const limit = fresh(2)
      const [ahead, hour] = [start + 3_600_000, 3_600_000]
      await drain(one(limit), ahead)
      expect(await take([one(limit)], ahead - hour)).toMatchObject({ ok: false, retryAfterMs: 500 })
      expect(await take([one(limit)], ahead - hour + 499)).toMatchObject({ ok: false, retryAfterMs: 1 })
      expect(await take([one(limit)], ahead - hour + 500)).toMatchObject({ ok: true })
    })

    test('RL-01: any sequence of takes is answered as a bucket of exact tokens answers it', async () => {
      const limits = fc.array(
        fc.record({
          callsMax: fc.integer({ min: 1, max: 12 }),
          windowMs: fc.integer({ min: 1_000, max: 20_000 }),
          burst: fc.option(fc.integer({ min: 1, max: 20 }), { nil: undefined }),
        }),
        { minLength: 1, maxLength: 3 },
      )
      const step = fc.record({
        waitMs: fc.oneof(
          { weight: 3, arbitrary: fc.constant(0) },
          fc.integer({ min: 0, max: 900 }),
          fc.integer({ min: 0, max: 30_000 }),
        ),
        cost: fc.oneof({ weight: 3, arbitrary: fc.constant(1) }, fc.integer({ min: 1, max: 5 })),
        back: fc.integer({ min: 0, max: 9 }).map((dice) => dice === 0),
      })
      await fc.assert(
        fc.asyncProperty(limits, fc.array(step, { minLength: 1, maxLength: 40 }), async (specs, steps) => {
          const made = specs.map(({ callsMax, windowMs, burst }) => fresh(callsMax, windowMs, burst))
          const model = made.map((limit) => new ExactBucket(limit))
          const given: { at: Instant; cost: number }[] = []
          let now = start
          let anyBack = false
          for (const { waitMs, cost, back } of steps) {
            now += waitMs
            for (const bucket of model) bucket.tick(waitMs)
            if (back) {
              anyBack = true
              await store.giveBack(
                made.map((limit) => one(limit, cost)),
                now,
              )
              for (const bucket of model) bucket.add(cost)
              continue
            }
            const expected = model.every((bucket) => bucket.has(cost))
            const answer = await store.take(
              made.map((limit) => one(limit, cost)),
              now,
            )
            expect(answer.ok).toBe(expected)
            if (answer.ok) {
              for (const bucket of model) bucket.add(-cost)
              given.push({ at: now, cost })
              expect(answer.remaining).toBe(Math.min(...model.map((bucket) => bucket.calls())))
            }
          }
          if (anyBack) return
          for (const { callsMax, windowMs, burst } of made) {
            for (const { at: from } of given) {
              const within = given.filter(({ at }) => at >= from && at < from + windowMs)
              expect(within.reduce((sum, { cost }) => sum + cost, 0)).toBeLessThanOrEqual(callsMax + burst)
            }
          }
        }),
        { numRuns: options.runs },
      )
    })

    const { beside } = options
    if (beside === undefined) return
    test('RL-01: two processes take from the same buckets', async () => {
      const other = await beside()
      try {
        const limit = fresh(30)
        const answers = await Promise.all(
          Array.from({ length: 100 }, (_, at) => (at % 2 === 0 ? store : other).take([one(limit)], start)),
        )
        expect(answers.filter(({ ok }) => ok)).toHaveLength(30)
        await store.giveBack([one(limit)], start)
        expect(await other.take([one(limit)], start)).toMatchObject({ ok: true })
      } finally {
        await other.close()
      }
    })
  })
}

/** A bucket of tokens in units of 1/callsMax ms, so that it never rounds. */
class ExactBucket {
  private readonly limit: Limit
  private tokens: bigint
  private readonly full: bigint

  constructor(limit: Limit) {
    this.limit = limit
    this.full = BigInt(limit.burst) * BigInt(limit.windowMs)
    this.tokens = this.full
  }

  tick(ms: number): void {
    this.tokens += BigInt(ms) * BigInt(this.limit.callsMax)
    if (this.tokens > this.full) this.tokens = this.full
  }

  has(cost: number): boolean {
    return this.tokens >= BigInt(cost) * BigInt(this.limit.windowMs)
  }

  add(cost: number): void {
    this.tokens += BigInt(cost) * BigInt(this.limit.windowMs)
    if (this.tokens > this.full) this.tokens = this.full
  }

  calls(): number {
    return Number(this.tokens / BigInt(this.limit.windowMs))
  }
}
