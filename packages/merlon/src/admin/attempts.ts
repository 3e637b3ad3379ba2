import { createHmac } from 'node:crypto'
import type { Instant, RandomBytes } from '../call.ts'
import { Fault } from '../errors.ts'
import type { Sealer } from '../sealing/seal.ts'

interface Attempt {
  /** Of the request: the same name for another request is refused. Keyed, since a request may hold a password. */
  readonly digest: string
  readonly until: Instant
  /** Sealed: it may hold the secret that was made. */
  readonly answer: Promise<string>
}

const keptMs = 600_000
const perCallerMax = 100

/**
 * What was made under a name that the caller gave (Idempotency-Key), so that asking again makes nothing again and answers
 * the same. Kept in this process for ten minutes, the last hundred of each caller; afterwards, and on another replica, the
 * names that must be unique still keep a second one from being made.
 */
export class Attempts {
  readonly #sealer: Sealer
  readonly #key: Buffer
  readonly #callers = new Map<string, Map<string, Attempt>>()

  constructor(sealer: Sealer, random: RandomBytes) {
    this.#sealer = sealer
    this.#key = random(32)
  }

  /** `caller` is the binding of a principal; `name` is what it named this attempt at `operation`. */
  async once(
    attempt: { readonly caller: string; readonly operation: string; readonly name: string; readonly request: string },
    now: Instant,
    make: () => Promise<string>,
  ): Promise<string> {
    this.#forget(now)
    const place = `${attempt.operation}\n${attempt.name}`
    const boundTo = `attempt\n${attempt.caller}\n${place}`
    const digest = createHmac('sha256', this.#key).update(attempt.request).digest('base64url')
    let made = this.#callers.get(attempt.caller)
    const earlier = made?.get(place)
    if (earlier !== undefined) {
      if (earlier.digest !== digest) throw new Fault('attempt.reused')
      const opened = this.#sealer.open(await earlier.answer, boundTo)
      if (opened === undefined) throw new Error('a kept answer does not open')
      return opened
    }
    if (made === undefined) {
      made = new Map()
      this.#callers.set(attempt.caller, made)
    }
    const answering = make()
    const answer = answering.then((text) => this.#sealer.seal(text, boundTo))
    const kept = { digest, until: now + keptMs, answer }
    made.set(place, kept)
    if (made.size > perCallerMax) made.delete(made.keys().next().value as string)
    const mine = made
    // What was refused or failed made nothing: it may be tried again under the same name.
    answer.catch(() => {
      if (mine.get(place) === kept) mine.delete(place)
    })
    return answering
  }

  #forget(now: Instant): void {
    for (const [caller, made] of this.#callers) {
      for (const [place, { until }] of made) {
        // In the order in which they were made: the first that stays is followed by none that goes.
        if (until > now) break
        made.delete(place)
      }
      if (made.size === 0) this.#callers.delete(caller)
    }
  }
}
