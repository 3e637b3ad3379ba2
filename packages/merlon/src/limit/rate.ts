import type { Instant } from '../call.ts'

export interface Rate {
  readonly callsMax: number
  readonly windowMs: number
}

/**
 * Counts calls by the generic cell rate algorithm: a bucket of `callsMax` that refills evenly over `windowMs`. From rest
 * it admits at most `callsMax` at once, and one more each `windowMs / callsMax` after that. One number a bucket, one
 * process; buckets at rest are dropped, so that the map holds at most what was used within one window, and never more
 * than `bucketsMax`: beyond that an unknown bucket is refused, not forgotten.
 */
export class RateLimiter {
  /** When each bucket is at rest again, in ticks of `1 / callsMax` ms since `origin`: whole numbers, so nothing is rounded. */
  private readonly buckets = new Map<string, number>()
  readonly rate: Rate
  private readonly bucketsMax: number
  private origin: Instant | undefined

  constructor(rate: Rate, bucketsMax = 100_000) {
    this.rate = rate
    this.bucketsMax = bucketsMax
  }

  /** Takes one call from the bucket: 0 where it was there, else the milliseconds until one is. */
  take(bucket: string, now: Instant): number {
    const { callsMax, windowMs } = this.rate
    const ticks = this.ticks(now)
    const known = this.buckets.get(bucket)
    // One call is `windowMs` ticks, a window of them is all that a bucket holds.
    const next = (known === undefined || known < ticks ? ticks : known) + windowMs
    const wait = next - ticks - windowMs * callsMax
    if (wait > 0) return Math.ceil(wait / callsMax)
    if (known === undefined && this.buckets.size >= this.bucketsMax && this.sweep(now) === 0) return windowMs
    this.buckets.set(bucket, next)
    return 0
  }

  /** Drops the buckets at rest; answers how many. */
  sweep(now: Instant): number {
    const before = this.buckets.size
    const ticks = this.ticks(now)
    for (const [bucket, rest] of this.buckets) if (rest <= ticks) this.buckets.delete(bucket)
    return before - this.buckets.size
  }

  private ticks(now: Instant): number {
    this.origin ??= now
    return (now - this.origin) * this.rate.callsMax
  }
}
