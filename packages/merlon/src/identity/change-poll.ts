import type { Clock, Instant } from '../call.ts'
import { type Changes, type InstallationStore, presentRevision } from './installation-store.ts'

/** Runs something once, later. Answers how to call it off. */
export type Schedule = (run: () => void, delayMs: number) => () => void

/**
 * Forgets what has changed, at once; with `everything`, all it remembers. What it then has to tell others takes its time and
 * comes after every follower has forgotten.
 */
export type Follower = (changes: Changes, everything: boolean) => () => Promise<void>

export interface ChangePollParts {
  readonly store: Pick<InstallationStore, 'changesSince'>
  readonly clock: Clock
  /** Default: a timer that does not keep the process alive. */
  readonly schedule?: Schedule
  /** Told once for each outage. */
  readonly report?: (what: 'poll', cause: unknown) => void
}

const pollMs = 250
/** A poll older than this no longer vouches for what is remembered. */
const trustMs = 1_000

/** Follows the changes in the store, for all in this process that remember something of it. */
export class ChangePoll {
  readonly #store: Pick<InstallationStore, 'changesSince'>
  readonly #clock: Clock
  readonly #schedule: Schedule
  readonly #report: (what: 'poll', cause: unknown) => void
  readonly #followers: Follower[] = []
  #revision: number | undefined
  #polledAt = Number.NEGATIVE_INFINITY
  #polling: Promise<void> = Promise.resolve()
  #pollFailed = false
  #closed = false
  #cancel: (() => void) | undefined

  constructor({ store, clock, schedule = later, report = () => undefined }: ChangePollParts) {
    this.#store = store
    this.#clock = clock
    this.#schedule = schedule
    this.#report = report
  }

  /** The change up to which everything is known; `undefined` before the first poll and after the last. */
  get revision(): number | undefined {
    return this.#revision
  }

  /** Whether a poll vouches now for what is remembered. */
  vouches(now: Instant): boolean {
    const age = now - this.#polledAt
    // A clock that was set back makes the age negative: then we cannot tell, and the store is asked.
    return age >= 0 && age <= trustMs
  }

  follow(follower: Follower): void {
    this.#followers.push(follower)
  }

  /** Begins to poll. Until then nothing is vouched for. */
  async start(): Promise<void> {
    await this.refresh()
    this.#again()
  }

  /** Asks the store for changes now. After it, this process refuses what was withdrawn before it was called. */
  refresh(): Promise<void> {
    const turn = this.#polling.then(() => this.#poll())
    this.#polling = turn.catch(() => undefined)
    return turn
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#cancel?.()
    await this.#polling
    this.#revision = undefined
    this.#polledAt = Number.NEGATIVE_INFINITY
  }

  async #poll(): Promise<void> {
    const began = this.#clock()
    const known = this.#revision
    const changes = await this.#store.changesSince(known ?? presentRevision)
    if (this.#closed) return
    // A counter that went backwards is a store put back from a backup: nothing that is remembered need be so.
    const everything = known !== undefined && changes.revision < known
    const tellings = this.#followers.map((follower) => follower(changes, everything))
    this.#revision = changes.revision
    this.#polledAt = began
    this.#pollFailed = false
    for (const tell of tellings) await tell()
  }

  #again(): void {
    if (this.#closed) return
    this.#cancel = this.#schedule(() => {
      void this.refresh()
        .catch((cause: unknown) => {
          if (!this.#pollFailed) this.#report('poll', cause)
          this.#pollFailed = true
        })
        .then(() => this.#again())
    }, pollMs)
  }
}

export const later: Schedule = (run, delayMs) => {
  const timer = setTimeout(run, delayMs).unref()
  return () => clearTimeout(timer)
}
