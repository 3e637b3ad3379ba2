import type { Instant, Vouched } from '../call.ts'
import { Fault } from '../errors.ts'
import { type CallCaps, type Caller, Underway } from './underway.ts'

/** Something that goes on on behalf of a credential: a call being answered, or a stream held open. */
export interface Running extends Caller {
  readonly credential: string
  /** When it must have ended; `Infinity` for a stream. */
  readonly deadline: Instant
  /** When the credential ends, and this with it. */
  readonly credentialEndsAt: Instant
  /** Who vouches for the credential; this ends with their word. */
  readonly vouched?: Vouched | undefined
  /** When it began. */
  readonly startedAt: Instant
  /** Ends it with this fault. */
  withdraw(fault: Fault): void
  /** Told once it has gone on for a while. */
  bePatient(): void
  /** Told when the server stops, while it goes on: who reads its answer may do so elsewhere. */
  letGo?(): void
}

/** Longer than a request may take to arrive and be admitted. */
const rememberWithdrawnMs = 120_000

/** Well under the time after which an idle connection is closed. */
const patienceAfterMs = 10_000

/** All that goes on now, so that it ends in time, with its credential, and before the server stops. */
export class AllRunning {
  private readonly all = new Set<Running>()
  /** When credentials were withdrawn, by tenant or everywhere, for what was admitted before and comes here after. */
  private readonly withdrawn = new Map<string, Map<string | undefined, Instant>>()
  private readonly underway = new Underway()
  private idle: (() => void) | undefined

  get size(): number {
    return this.all.size
  }

  /** Takes a call on; one whose credential was withdrawn since it began ends at once. */
  add(running: Running): void {
    if (this.all.has(running)) return
    this.all.add(running)
    if (isCall(running)) this.underway.add(running)
    if (this.isWithdrawn(running)) running.withdraw(withdrawnFault())
  }

  /** Refuses one more call where there is no room for it. */
  checkRoom(caller: Caller, caps: CallCaps): void {
    this.underway.checkRoom(caller, caps)
  }

  /** Takes a stream on, unless its principal holds `streamsMax` already or its credential was withdrawn since it began. */
  addStream(stream: Running, streamsMax: number): void {
    if (this.isWithdrawn(stream)) throw withdrawnFault()
    let held = 0
    for (const running of this.all) {
      if (running.binding === stream.binding && !isCall(running)) held++
    }
    if (held >= streamsMax) throw new Fault('capacity.exceeded', { reason: 'streams', retryAfterMs: 5_000 })
    this.all.add(stream)
  }

  remove(running: Running): void {
    if (this.all.delete(running) && isCall(running)) this.underway.remove(running)
    if (this.idle !== undefined && this.calls() === 0) this.idle()
  }

  /** Ends what is over time. */
  sweep(now: Instant): void {
    for (const [credential, times] of this.withdrawn) {
      for (const [tenant, at] of times) if (at + rememberWithdrawnMs <= now) times.delete(tenant)
      if (times.size === 0) this.withdrawn.delete(credential)
    }
    for (const running of [...this.all]) {
      const over = running.vouched?.over()
      if (running.credentialEndsAt <= now) running.withdraw(new Fault('credential.invalid', { reason: 'expired' }))
      else if (over === 'withdrawn') running.withdraw(withdrawnFault())
      // An outage is not the caller's bad credential.
      else if (over === 'unrenewed') running.withdraw(new Fault('store.unavailable', { reason: 'issuer' }))
      else if (running.deadline <= now) running.withdraw(new Fault('tool.timeout'))
      else if (running.startedAt + patienceAfterMs <= now) running.bePatient()
    }
  }

  /** Ends all that this credential began, in the tenant or in all, what is still on its way here included. */
  withdraw(credential: string, now: Instant, tenant?: string): void {
    const times = this.withdrawn.get(credential) ?? new Map<string | undefined, Instant>()
    this.withdrawn.set(credential, times.set(tenant, now))
    for (const running of [...this.all]) if (isOf(running, credential, tenant)) running.withdraw(withdrawnFault())
  }

  /**
   * Ends the streams that this credential opened, and leaves its calls: what it may do has changed, and whoever opens them
   * again shows what is good now.
   */
  renew(credential: string, tenant?: string): void {
    for (const running of [...this.all]) {
      if (isOf(running, credential, tenant) && !isCall(running))
        running.withdraw(new Fault('server.draining', { reason: 'changed' }))
    }
  }

  /** As `renew`, for every credential that is meant. */
  renewAll(isMeant: (credential: string) => boolean): void {
    for (const { credential } of [...this.all]) if (isMeant(credential)) this.renew(credential)
  }

  /** Ends the streams, waits for the calls, and after `graceMs` ends those too. */
  async drain(graceMs: number): Promise<void> {
    for (const running of [...this.all]) {
      if (isCall(running)) running.letGo?.()
      else running.withdraw(new Fault('server.draining'))
    }
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

  private isWithdrawn({ credential, tenant, startedAt }: Running): boolean {
    const times = this.withdrawn.get(credential)
    if (times === undefined) return false
    return [times.get(undefined), times.get(tenant)].some((at) => at !== undefined && startedAt <= at)
  }

  private calls(): number {
    let calls = 0
    for (const running of this.all) if (isCall(running)) calls++
    return calls
  }
}

function isOf(running: Running, credential: string, tenant: string | undefined): boolean {
  return running.credential === credential && (tenant ?? running.tenant) === running.tenant
}

/** A stream has no deadline. */
function isCall(running: Running): boolean {
  return running.deadline !== Number.POSITIVE_INFINITY
}

function withdrawnFault(): Fault {
  return new Fault('credential.invalid', { reason: 'withdrawn' })
}
