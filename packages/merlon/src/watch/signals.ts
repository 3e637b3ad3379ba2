import type { Fault } from '../errors.ts'

/** What refusals are a sign of, under the names that the API gives them (A20). */
export const signals = ['authenticationFailures', 'rateLimitExceeded', 'invalidApiKeys', 'sessionViolations'] as const
export type Signal = (typeof signals)[number]

const none: readonly Signal[] = []
const failure: readonly Signal[] = ['authenticationFailures']
const invalid: readonly Signal[] = ['authenticationFailures', 'invalidApiKeys']
const guess: readonly Signal[] = ['authenticationFailures', 'invalidApiKeys', 'rateLimitExceeded']
const limited: readonly Signal[] = ['rateLimitExceeded']
const violation: readonly Signal[] = ['sessionViolations']

/**
 * What a refusal is a sign of. The same lines are drawn by the types of the audit record: `auth`, `rate_limit` and
 * `session_violation`. A guess that is refused because there were too many before it was a bad credential too.
 */
export function signalsOf({ code, detail }: Fault): readonly Signal[] {
  if (code === 'credential.invalid') return invalid
  if (code.startsWith('credential.') || code.startsWith('login.')) return failure
  if (code === 'rate.exceeded') return detail.reason === 'failed-authentication' ? guess : limited
  if (code.startsWith('session.') || code.startsWith('stream.')) return violation
  return none
}

/**
 * How many of something there were within a span that ends now, to within a sixtieth of it. Counted on a clock that nobody
 * can set.
 */
export class SlidingCount {
  private readonly slots = new Float64Array(60)
  private readonly slotMs: number
  private latest = Number.NEGATIVE_INFINITY
  private sum = 0

  constructor(spanMs: number) {
    this.slotMs = spanMs / 60
  }

  add(now: number, by = 1): void {
    const slot = this.advance(now)
    this.slots[slot % 60]! += by
    this.sum += by
  }

  count(now: number): number {
    this.advance(now)
    return this.sum
  }

  /** Lets go of the slots that have passed. */
  private advance(now: number): number {
    const slot = Math.max(Math.floor(now / this.slotMs), this.latest)
    if (slot - this.latest >= 60) {
      this.slots.fill(0)
      this.sum = 0
    } else {
      for (let at = this.latest + 1; at <= slot; at++) {
        this.sum -= this.slots[at % 60]!
        this.slots[at % 60] = 0
      }
    }
    this.latest = slot
    return slot
  }
}
