import type { Clock, Instant } from '../call.ts'
import { Fault } from '../errors.ts'
import type { Actor } from './actor.ts'
import { everyTenant } from './reach.ts'

/** One line of what is recorded of a change. Two lines make a change: what was meant, and what came of it. */
export interface Change {
  readonly action:
    | 'key.create'
    | 'key.update'
    | 'key.revoke'
    | 'key.rotate'
    | 'user.create'
    | 'user.update'
    | 'user.enable'
    | 'user.disable'
    | 'user.password'
    | 'user.second-factor-begin'
    | 'user.second-factor-confirm'
    | 'user.second-factor-remove'
    | 'user.remove'
    | 'tenant.create'
    | 'tenant.update'
    | 'agent.create'
    | 'agent.update'
    | 'agent.remove'
    | 'sign-in.create'
    | 'sign-in.confirm'
    | 'sign-in.revoke'
    | 'subject.block'
    | 'subject.unblock'
    | 'signing-key.rotate'
    | 'signing-key.retire'
    | 'encryption-key.rotate'
    | 'encryption-key.retire'
    | 'encryption-key.destroy'
    | 'encryption-key.rewrap'
    | 'installation.bootstrap'
  /** `failed`: it may or may not have happened, because the store went out of reach. */
  readonly outcome: 'intended' | 'done' | 'refused' | 'failed'
  readonly at: Instant
  readonly by: string
  /** `undefined` where the actor reaches every tenant and named none. */
  readonly tenant: string | undefined
  /** The id of the key, where it is one that changes; what else changes is named in `detail`. */
  readonly key: string | undefined
  readonly detail: Readonly<Record<string, string | number | readonly string[]>>
}

export type ChangeLine = Omit<Change, 'outcome' | 'at' | 'key'> & { readonly key?: string | undefined }

/** Makes a line durable in the audit log, or rejects. */
export type RecordChange = (change: Change) => Promise<void>

/**
 * Each change is recorded as meant, then made, then recorded as done, and only then acknowledged. If the first record cannot
 * be written nothing happens. If the second cannot, the caller gets `Fault('audit.unavailable')` and `undo` is tried.
 */
export class Recorder {
  readonly #record: RecordChange
  readonly #clock: Clock

  constructor(record: RecordChange, clock: Clock) {
    this.#record = record
    this.#clock = clock
  }

  async change<T>(
    line: ChangeLine,
    change: () => Promise<T>,
    { done, undo }: { readonly done: (value: T) => boolean; readonly undo?: () => Promise<unknown> },
  ): Promise<T> {
    await this.#write(line, 'intended')
    let value: T
    try {
      value = await change()
    } catch (error) {
      // That it was meant is on record already; the outage is what the caller has to know.
      await this.#write(line, 'failed').catch(() => undefined)
      throw error
    }
    const happened = done(value)
    try {
      await this.#write(line, happened ? 'done' : 'refused')
    } catch (error) {
      // Where the store is gone as well, the record still says that it was meant and not that it was done.
      if (happened) await undo?.().catch(() => undefined)
      throw error
    }
    return value
  }

  async #write(line: ChangeLine, outcome: Change['outcome']): Promise<void> {
    try {
      await this.#record({ ...line, key: line.key, outcome, at: this.#clock() })
    } catch (cause) {
      throw cause instanceof Fault ? cause : new Fault('audit.unavailable', { cause })
    }
  }
}

/** For the record of what names no tenant of its own. */
export function tenantOf(by: Actor): string | undefined {
  return by.tenant === everyTenant ? undefined : by.tenant
}

/** An id as typed, for the record: cut, since it need not be one. */
export function boundedId(id: string): string {
  return id.slice(0, 64)
}
