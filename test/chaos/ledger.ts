import { setTimeout as pause } from 'node:timers/promises'

/** What the clients of a run have seen, counted, and what they must not have seen, told. */
export class Ledger {
  /** Calls that were answered with their result. */
  calls = 0
  /** Those that were not answered, or refused because something was out of reach: nothing was acknowledged. */
  unanswered = 0
  refused = 0
  /** Calls with a credential that is none, or is one no more. */
  strangers = 0
  admitted = 0
  streams = 0
  /** Streams that ended with the error of a call whose server died. */
  orphans = 0
  events = 0
  resumes = 0
  lost = 0
  twice = 0
  questions = 0
  changes = 0
  sessions = 0
  ended = 0
  revoked = 0
  readonly violations: string[] = []
  readonly callMs: number[] = []
  readonly resumeMs: number[] = []
  readonly revokeMs: number[] = []
  readonly startMs: number[] = []
  readonly #statuses = new Map<string, number>()

  violation(what: string): void {
    this.violations.push(what)
  }

  /** Something that may happen while parts are down: counted by its name. */
  note(what: string): void {
    this.#statuses.set(what, (this.#statuses.get(what) ?? 0) + 1)
  }

  get notes(): string {
    return [...this.#statuses].map(([what, count]) => `${what}: ${count}`).join(', ')
  }
}

export function percentile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((one, other) => one - other)
  return Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0)
}

/** Tells whether the clients go on, and lets them wait for things that take their time. */
export class Run {
  readonly #until: AbortController = new AbortController()

  get goesOn(): boolean {
    return !this.#until.signal.aborted
  }

  stop(): void {
    this.#until.abort()
  }

  /** Waits, though not past the end of the run. */
  async wait(ms: number): Promise<void> {
    await pause(ms, undefined, { signal: this.#until.signal }).catch(() => undefined)
  }
}
