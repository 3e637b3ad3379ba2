import type { Clock, RandomBytes } from '../call.ts'
import type { Catalog } from '../catalog/catalog.ts'
import type { Sealer } from '../sealing/seal.ts'
import type { SessionCaps, SessionStore } from '../session/session-store.ts'
import type { Revision } from '../wire/revision.ts'
import type { Changes } from './changes.ts'
import type { ResponseMode } from './line.ts'
import type { LiveSessions } from './live-sessions.ts'
import type { AllRunning } from './running.ts'
import type { CallCaps } from './underway.ts'

/** Where failures are told that a caller must not see. */
export interface Log {
  info(fields: Readonly<Record<string, unknown>>, message: string): void
  warn(fields: Readonly<Record<string, unknown>>, message: string): void
  error(fields: Readonly<Record<string, unknown>>, message: string): void
}

/** What handlers work with: made once at start. */
export interface Services {
  readonly clock: Clock
  readonly random: RandomBytes
  readonly catalog: () => Catalog
  readonly server: { readonly name: string; readonly version: string; readonly instructions: string | undefined }
  readonly revisions: { readonly stateless: Revision; readonly stateful: ReadonlyMap<string, Revision> }
  readonly responseMode: ResponseMode
  readonly callTimeoutMs: number
  readonly listTtlMs: number
  readonly pageSize: number
  readonly callCaps: CallCaps
  readonly streamsPerPrincipalMax: number
  readonly sealer: { readonly requestState: Sealer; readonly cursor: Sealer }
  readonly sessions: SessionStore | undefined
  readonly sessionHeader: string
  readonly sessionCaps: SessionCaps
  readonly sessionDurationMs: number
  readonly live: LiveSessions
  readonly running: AllRunning
  readonly changes: Changes
  readonly log: Log
  /** What may be logged of something that a tool, a resource or a prompt threw. */
  readonly describeFailure: (thrown: unknown) => object
}
