import type { KeyObject } from 'node:crypto'
import type { AuditLog } from './audit/audit-log.ts'
import type { Awaitable } from './call.ts'
import type { Verdict } from './identity/verdict.ts'

/** What stays when the server stops: who may call, what was done, and the keys that seal. */
export interface Installation {
  /** Checks an API key of this installation. */
  readonly verify: (credential: string) => Awaitable<Verdict>
  /** Calls back with a credential that is good no longer. */
  onWithdrawn(listener: (credential: string) => void): void
  readonly audit: AuditLog
  readonly keys: { readonly requestState: KeyObject; readonly cursor: KeyObject; readonly eventId: KeyObject }
  /** The first key of a new installation, shown once. */
  readonly firstStart: { readonly key: string; readonly expiresAt: number } | undefined
  close(): Promise<void>
}
