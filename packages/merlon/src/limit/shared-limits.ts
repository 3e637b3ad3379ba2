import type { Awaitable, Instant } from '../call.ts'
import { Fault } from '../errors.ts'
import {
  type Limit,
  type LimitStore,
  limitOf,
  type Refused,
  type SharedLimitStore,
  type Take,
  type Taken,
  ticksLargest,
} from './limit-store.ts'

export interface SharedLimitsOptions {
  readonly shared: SharedLimitStore
  /** Counts while the shared store is out of reach. */
  readonly own: LimitStore
  /** What part of a limit one process then admits alone: more than 0, at most 1. */
  readonly localShare: number
  /** Told once when the shared store is lost, with the reason, and once when it is there again. */
  readonly onChange: (state: 'shared' | 'local', cause: unknown) => void
}

const retryAfterMs = 1_000

/**
 * Counts in a shared store, and where that is out of reach does what each limit says: refuse, or admit a part of the limit
 * by what this process has seen itself. Never without a limit. The store is asked again by `probe` alone, so that an outage
 * costs no call the wait for it.
 */
export class SharedLimits implements LimitStore {
  #state: 'shared' | 'local' = 'shared'
  #probing = false
  readonly #options: SharedLimitsOptions
  readonly #parts = new WeakMap<Limit, Limit>()
  readonly #takes = new WeakMap<Take, Take>()

  constructor(options: SharedLimitsOptions) {
    this.#options = options
  }

  get state(): 'shared' | 'local' {
    return this.#state
  }

  take(takes: readonly Take[], now: Instant): Awaitable<Taken | Refused> {
    if (this.#state === 'local') return this.#takeLocally(takes, now)
    const lost = (cause: unknown) => {
      this.#lose(cause)
      return this.#takeLocally(takes, now)
    }
    try {
      const answer = this.#options.shared.take(takes, now)
      return answer instanceof Promise ? answer.catch(lost) : answer
    } catch (cause) {
      return lost(cause)
    }
  }

  peek(takes: readonly Take[], now: Instant): Refused | undefined {
    const { shared, own } = this.#options
    return this.#state === 'shared' ? shared.peek(takes, now) : own.peek(this.#local(takes), now)
  }

  giveBack(takes: readonly Take[], now: Instant): Awaitable<void> {
    const { shared, own } = this.#options
    return this.#state === 'shared' ? shared.giveBack(takes, now) : own.giveBack(this.#local(takes), now)
  }

  sweep(now: Instant): number {
    return this.#options.own.sweep(now) + this.#options.shared.sweep(now)
  }

  /** Asks whether the shared store is there. Never rejects; while one question is open there is no second. */
  async probe(): Promise<void> {
    if (this.#probing) return
    this.#probing = true
    try {
      await this.#options.shared.probe()
      if (this.#state === 'local') {
        this.#state = 'shared'
        this.#options.onChange('shared', undefined)
      }
    } catch (cause) {
      this.#lose(cause)
    } finally {
      this.#probing = false
    }
  }

  async close(): Promise<void> {
    await this.#options.own.close()
    await this.#options.shared.close()
  }

  #lose(cause: unknown): void {
    if (this.#state === 'local') return
    this.#state = 'local'
    this.#options.onChange('local', cause)
  }

  #takeLocally(takes: readonly Take[], now: Instant): Awaitable<Taken | Refused> {
    for (const { limit } of takes) {
      if (limit.onStoreFailure === 'deny') throw new Fault('store.unavailable', { reason: 'limits', retryAfterMs })
    }
    return this.#options.own.take(this.#local(takes), now)
  }

  #local(takes: readonly Take[]): readonly Take[] {
    return takes.map((take) => {
      let local = this.#takes.get(take)
      if (local === undefined) {
        local = { ...take, limit: this.#part(take.limit) }
        this.#takes.set(take, local)
      }
      return local
    })
  }

  #part(limit: Limit): Limit {
    let part = this.#parts.get(limit)
    if (part === undefined) {
      part = partOf(limit, this.#options.localShare)
      this.#parts.set(limit, part)
    }
    return part
  }
}

/** So much of a limit: fewer calls in the same window or, where that would be less than one, one in a longer window. */
export function partOf(limit: Limit, share: number): Limit {
  const { name, told, anybody, onStoreFailure } = limit
  const calls = limit.callsMax * share
  const callsMax = Math.max(1, Math.floor(calls))
  const windowMs = calls < 1 ? Math.ceil(limit.windowMs / calls) : limit.windowMs
  const burst = Math.max(1, Math.min(Math.floor(limit.burst * share), Math.floor(ticksLargest / windowMs)))
  return limitOf({ name, told, anybody, onStoreFailure, callsMax, windowMs, burst })
}
