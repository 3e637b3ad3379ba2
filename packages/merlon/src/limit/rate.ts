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
  private readonly buckets = new Map<string, Instant>()
  private readonly rate: Rate
  private readonly bucketsMax: number
  private readonly spacing: number

  constructor(rate: Rate, bucketsMax = 100_000) {
    this.rate = rate
    this.bucketsMax = bucketsMax
    this.spacing = rate.windowMs / rate.callsMax
  }

  /** Takes one call from the bucket: 0 where it was there, else the milliseconds until one is. */
  take(bucket: string, now: Instant): number {
    const known = this.buckets.get(bucket)
    const full = known === undefined || known < now ? now : known
    const wait = full + this.spacing - this.rate.windowMs - now
    // Spacing is seldom a whole number: a thousandth of a millisecond forgives its rounding.
    if (wait > 0.001) return Math.ceil(wait)
    if (known === undefined && this.buckets.size >= this.bucketsMax && this.sweep(now) === 0) return this.rate.windowMs
    this.buckets.set(bucket, full + this.spacing)
    return 0
  }

  /** Drops the buckets at rest; answers how many. */
  sweep(now: Instant): number {
    const before = this.buckets.size
    for (const [bucket, full] of this.buckets) if (full <= now) this.buckets.delete(bucket)
    return before - this.buckets.size
  }
}
