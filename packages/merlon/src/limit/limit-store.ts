import type { Awaitable, Instant } from '../call.ts'

/**
 * A limit, made ready to count with: see `limitOf`. A bucket holds `burst` calls and refills evenly, `callsMax` in each
 * `windowMs`. From rest it gives `burst` at once, and in any window never more than `callsMax + burst`.
 *
 * Counted in ticks, whole numbers, so that nothing is rounded: one call is `ticksPerCall`, a millisecond gives
 * `ticksPerMs` back, and a bucket is empty at `ticksMax`.
 */
export interface Limit {
  /** What headers, records and metrics call it. */
  readonly name: string
  readonly callsMax: number
  readonly windowMs: number
  readonly burst: number
  /** Whether the caller may be told what is left: not where others share the bucket, who would be seen in it. */
  readonly told: boolean
  /** Whether its buckets are made by whoever comes, before a credential is known to be good. */
  readonly anybody: boolean
  /** What to do while a shared store is out of reach. */
  readonly onStoreFailure: OnStoreFailure
  readonly ticksPerCall: number
  readonly ticksPerMs: number
  readonly ticksMax: number
}

export type OnStoreFailure = 'deny' | 'limit-locally'

/** So much of one bucket. Made once and used for many calls. */
export interface Take {
  readonly limit: Limit
  /** Names the bucket; unlike that of any other limit. Never a secret, never the text of a stranger. */
  readonly bucket: string
  readonly cost: number
}

/** All was there and is taken. */
export interface Taken {
  readonly ok: true
  /** Of the limits that may be told, the one with the fewest calls left; `undefined` where there is none. */
  readonly limit: Limit | undefined
  readonly remaining: number
  /** When that bucket gives one call more. */
  readonly refillMs: number
}

/** Something was not there, and nothing is taken. */
export interface Refused {
  readonly ok: false
  /** Of the limits that had too little, the one to wait for longest. */
  readonly limit: Limit
  /** After so long, and not before, all would be there, if nobody else takes. Where `cost` is more than the bucket ever holds: how long it takes to fill. */
  readonly retryAfterMs: number
  /** What is left all the same: too little for what was asked. */
  readonly remaining: number
}

export interface LimitStore {
  /**
   * `own`: these are the buckets of one process. `shared`: of all that name the same store. `local`: the shared store is out
   * of reach, and each limit does what it says.
   */
  readonly state: 'own' | 'shared' | 'local'
  /**
   * Takes from every bucket, or from none where one has too little. One atomic act, whoever else takes. A bucket is named
   * once in `takes`. Throws or rejects with `store.unavailable` where nobody can tell.
   */
  take(takes: readonly Take[], now: Instant): Awaitable<Taken | Refused>
  /**
   * The refusal of `take` as far as it is known without asking anybody: what others gave back in the last second may not
   * be. Takes nothing. `undefined` says nothing for certain.
   */
  peek(takes: readonly Take[], now: Instant): Refused | undefined
  /** Gives back what was taken and not used. A bucket never holds more than `burst`. */
  giveBack(takes: readonly Take[], now: Instant): Awaitable<void>
  /** Forgets the buckets that are full again; answers how many. */
  sweep(now: Instant): number
  close(): Awaitable<void>
}

/** A store that several processes share, and that can be out of reach. */
export interface SharedLimitStore extends LimitStore {
  /** Rejects where it is out of reach. */
  probe(): Promise<void>
}

/** What a limit is made of. */
export interface LimitSpec {
  readonly name: string
  readonly callsMax: number
  readonly windowMs: number
  /** Default `callsMax`. */
  readonly burst?: number | undefined
  /** Default true. */
  readonly told?: boolean
  /** Default false. */
  readonly anybody?: boolean
  /** Default `deny`. */
  readonly onStoreFailure?: OnStoreFailure
}

/** Throws a RangeError where it cannot be counted in whole numbers. */
export function limitOf(spec: LimitSpec): Limit {
  const { name, callsMax, windowMs, burst = callsMax, told = true, anybody = false, onStoreFailure = 'deny' } = spec
  for (const count of [callsMax, windowMs, burst]) {
    if (!Number.isSafeInteger(count) || count < 1) throw new RangeError(`${name}: not a limit that can be counted`)
  }
  const unit = greatestDivisor(callsMax, windowMs)
  const ticksPerCall = windowMs / unit
  const ticksMax = ticksPerCall * burst
  if (ticksMax > ticksLargest) throw new RangeError(`${name}: too many calls in too odd a window to be counted`)
  return Object.freeze({
    name,
    callsMax,
    windowMs,
    burst,
    told,
    anybody,
    onStoreFailure,
    ticksPerCall,
    ticksPerMs: callsMax / unit,
    ticksMax,
  })
}

/** Whole numbers are exact up to 2⁵³, and one take is added to a full bucket. */
export const ticksLargest = 2 ** 51

function greatestDivisor(left: number, right: number): number {
  return right === 0 ? left : greatestDivisor(right, left % right)
}

/** A take from the bucket of this limit that these parts name. No part holds a line break. */
export function takeOf(limit: Limit, parts: readonly string[], cost = 1): Take {
  return Object.freeze({ limit, bucket: [limit.name, ...parts].join('\n'), cost })
}

/* The arithmetic that every adapter shares. `debt` is how many ticks a bucket lacks to be full. */

/** How long until a bucket with this debt gives `cost` calls: 0 where it does now. */
export function waitMs(limit: Limit, debt: number, cost: number): number {
  const { ticksMax, ticksPerMs } = limit
  const over = debt + cost * limit.ticksPerCall - ticksMax
  if (over <= 0) return 0
  return cost > limit.burst ? fillMs(limit) : Math.ceil(over / ticksPerMs)
}

/** Whole calls that a bucket with this debt still gives. */
export function callsLeft(limit: Limit, debt: number): number {
  return Math.floor((limit.ticksMax - debt) / limit.ticksPerCall)
}

/** When a bucket with this debt, of which so many calls are left, gives one more. */
export function refillMs(limit: Limit, debt: number, left: number): number {
  const missing = (left + 1) * limit.ticksPerCall - (limit.ticksMax - debt)
  return Math.ceil(Math.min(missing, debt) / limit.ticksPerMs)
}

/** How long an empty bucket takes to fill. A clock that was set back by more starts the bucket's time anew. */
export function fillMs(limit: Limit): number {
  return Math.ceil(limit.ticksMax / limit.ticksPerMs)
}
