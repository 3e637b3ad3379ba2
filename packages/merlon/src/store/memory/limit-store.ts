import type { Instant } from '../../call.ts'
import {
  callsLeft,
  fillMs,
  type Limit,
  type LimitStore,
  type Refused,
  refillMs,
  type Take,
  type Taken,
  waitMs,
} from '../../limit/limit-store.ts'

interface Bucket {
  readonly limit: Limit
  /** How many ticks it lacked at `at` to be full. */
  debt: number
  at: Instant
}

const sweepsApartMs = 1_000

/**
 * The buckets of one process. Those that are full again are forgotten, so that it holds what was used within one window.
 * Beyond `bucketsMax` an unknown bucket is refused: to forget a known one would be to fill it. Half of the room is kept for
 * those who have shown a credential: strangers with many addresses fill their own half and keep out nobody else.
 */
export class MemoryLimitStore implements LimitStore {
  readonly state = 'own'
  readonly #buckets = new Map<string, Bucket>()
  readonly #bucketsMax: number
  readonly #strangersMax: number
  /** How many of the buckets anybody can make. */
  #strangers = 0
  /** What the takes of one act found. One act is over before the next begins. */
  readonly #found: (Bucket | undefined)[] = []
  readonly #debts: number[] = []
  #sweptAt = Number.NEGATIVE_INFINITY

  constructor(bucketsMax = 300_000) {
    this.#bucketsMax = bucketsMax
    this.#strangersMax = Math.floor(bucketsMax / 2)
  }

  get size(): number {
    return this.#buckets.size
  }

  take(takes: readonly Take[], now: Instant): Taken | Refused {
    const refused = this.#look(takes, now) ?? this.#room(takes, now)
    if (refused !== undefined) return refused
    let closest: Limit | undefined
    let remaining = Number.POSITIVE_INFINITY
    let refill = 0
    for (let at = 0; at < takes.length; at++) {
      const { limit, bucket, cost } = takes[at]!
      const debt = this.#debts[at]! + cost * limit.ticksPerCall
      let known = this.#found[at]
      if (known === undefined) {
        known = { limit, debt, at: now }
        this.#buckets.set(bucket, known)
        if (limit.anybody) this.#strangers++
      } else {
        known.debt = debt
        if (now > known.at) known.at = now
      }
      if (!limit.told) continue
      const left = callsLeft(limit, debt)
      if (left >= remaining) continue
      closest = limit
      remaining = left
      refill = refillMs(limit, debt, left) + known.at - now
    }
    return { ok: true, limit: closest, remaining: closest === undefined ? 0 : remaining, refillMs: refill }
  }

  peek(takes: readonly Take[], now: Instant): Refused | undefined {
    return this.#look(takes, now)
  }

  giveBack(takes: readonly Take[], now: Instant): void {
    for (const { limit, bucket, cost } of takes) {
      const known = this.#buckets.get(bucket)
      if (known === undefined) continue
      known.debt = Math.max(0, debtAt(known, now) - cost * limit.ticksPerCall)
      if (now > known.at) known.at = now
    }
  }

  sweep(now: Instant): number {
    this.#sweptAt = now
    const before = this.#buckets.size
    for (const [name, bucket] of this.#buckets) {
      if (debtAt(bucket, now) !== 0) continue
      this.#buckets.delete(name)
      if (bucket.limit.anybody) this.#strangers--
    }
    return before - this.#buckets.size
  }

  close(): void {
    this.#buckets.clear()
    this.#strangers = 0
  }

  /** Finds the buckets and what they lack now; the refusal where one has too little. */
  #look(takes: readonly Take[], now: Instant): Refused | undefined {
    let longest: Limit | undefined
    let longestMs = 0
    let remaining = 0
    for (let at = 0; at < takes.length; at++) {
      const { limit, bucket, cost } = takes[at]!
      const known = this.#buckets.get(bucket)
      const debt = known === undefined ? 0 : debtAt(known, now)
      this.#found[at] = known
      this.#debts[at] = debt
      if (debt + cost * limit.ticksPerCall <= limit.ticksMax) continue
      const wait = waitMs(limit, debt, cost) + (known === undefined ? 0 : Math.max(0, known.at - now))
      if (wait <= longestMs) continue
      longest = limit
      longestMs = wait
      remaining = callsLeft(limit, debt)
    }
    return longest === undefined ? undefined : { ok: false, limit: longest, retryAfterMs: longestMs, remaining }
  }

  /** The refusal where there is no room for the buckets that are new. */
  #room(takes: readonly Take[], now: Instant): Refused | undefined {
    if (this.#fits(takes.length, takes.length)) return undefined
    let fresh: Limit | undefined
    let count = 0
    let strangers = 0
    for (let at = 0; at < takes.length; at++) {
      if (this.#found[at] !== undefined) continue
      const { limit } = takes[at]!
      fresh ??= limit
      count++
      if (limit.anybody) strangers++
    }
    if (fresh === undefined || this.#fits(count, strangers)) return undefined
    // To look through all of them for every stranger would cost more than what is limited.
    if (now >= this.#sweptAt && now - this.#sweptAt < sweepsApartMs)
      return { ok: false, limit: fresh, retryAfterMs: sweepsApartMs, remaining: 0 }
    this.sweep(now)
    // What was found may have been full, and be forgotten now.
    this.#look(takes, now)
    return this.#room(takes, now)
  }

  /** Whether there is room for so many new buckets, of which so many can be made by anybody. */
  #fits(count: number, strangers: number): boolean {
    const room = this.#buckets.size + count <= this.#bucketsMax
    return room && (strangers === 0 || this.#strangers + strangers <= this.#strangersMax)
  }
}

/** What the bucket lacks now. Where the clock was set back, time goes on for it when the clock is there again. */
function debtAt(bucket: Bucket, now: Instant): number {
  const { limit, debt, at } = bucket
  const elapsed = now - at
  if (elapsed > 0) {
    const gained = elapsed * limit.ticksPerMs
    return gained >= debt ? 0 : debt - gained
  }
  // Further than a bucket takes to fill: it would be locked for as long as the clock was wrong.
  if (-elapsed > fillMs(limit)) bucket.at = now
  return debt
}
