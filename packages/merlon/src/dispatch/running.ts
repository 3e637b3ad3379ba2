import type { Instant } from '../call.ts'
import { Fault } from '../errors.ts'

/** Something that goes on on behalf of a credential: a call being answered, or a stream held open. */
export interface Running {
  readonly credential: string
  /** When it must have ended; `Infinity` for a stream. */
  readonly deadline: Instant
  /** When the credential ends, and this with it. */
  readonly credentialEndsAt: Instant
  /** When it began. */
  readonly startedAt: Instant
  /** Ends it with this fault. */
  withdraw(fault: Fault): void
  /** Told once it has gone on for a while. */
  bePatient(): void
}

/** Well under the time after which an idle connection is closed. */
const patienceAfterMs = 10_000

/** All that goes on now, so that it ends in time, with its credential, and before the server stops. */
export class AllRunning {
  private readonly all = new Set<Running>()
  private idle: (() => void) | undefined

  get size(): number {
    return this.all.size
  }

  add(running: Running): void {
    this.all.add(running)
  }

  /** Takes a stream on, unless its credential holds `streamsMax` already. */
  addStream(stream: Running, streamsMax: number): void {
    let held = 0
    for (const running of this.all) {
      if (running.credential === stream.credential && running.deadline === Number.POSITIVE_INFINITY) held++
    }
    if (held >= streamsMax) throw new Fault('capacity.exceeded', { reason: 'streams', retryAfterMs: 5_000 })
    this.all.add(stream)
  }

  remove(running: Running): void {
    this.all.delete(running)
    if (this.idle !== undefined && this.calls() === 0) this.idle()
  }

  /** Ends what is over time. */
  sweep(now: Instant): void {
    for (const running of [...this.all]) {
      if (running.credentialEndsAt <= now) running.withdraw(new Fault('credential.invalid', { reason: 'expired' }))
      else if (running.deadline <= now) running.withdraw(new Fault('tool.timeout'))
      else if (running.startedAt + patienceAfterMs <= now) running.bePatient()
    }
  }

  /** Ends all that this credential began. */
  withdraw(credential: string): void {
    for (const running of [...this.all]) {
      if (running.credential === credential) running.withdraw(new Fault('credential.invalid', { reason: 'withdrawn' }))
    }
  }

  /** Ends the streams, waits for the calls, and after `graceMs` ends those too. */
  async drain(graceMs: number): Promise<void> {
    for (const running of [...this.all])
      if (running.deadline === Number.POSITIVE_INFINITY) running.withdraw(new Fault('server.draining'))
    if (this.calls() > 0) {
      let timer: NodeJS.Timeout | undefined
      await Promise.race([
        new Promise<void>((resolve) => {
          this.idle = resolve
        }),
        new Promise<void>((resolve) => {
          timer = setTimeout(resolve, graceMs)
        }),
      ])
      clearTimeout(timer)
      this.idle = undefined
    }
    for (const running of [...this.all]) running.withdraw(new Fault('server.draining'))
  }

  private calls(): number {
    let calls = 0
    for (const running of this.all) if (running.deadline !== Number.POSITIVE_INFINITY) calls++
    return calls
  }
}
