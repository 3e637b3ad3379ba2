import type { Awaitable, Clock, RandomBytes } from '../call.ts'
import type { Catalog } from '../catalog/catalog.ts'
import type { Method } from '../method.ts'
import type { Letter, Received } from '../replica/mailbox.ts'
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

/** Brings letters to all replicas, this one included. */
export interface Post {
  /** Resolves when all will read it. Rejects where there is no room, or no store. */
  send(letter: Letter): Promise<void>
  /** Calls back with each letter that arrives, one after the other. */
  onLetter(listener: (letter: Received) => Awaitable<void>): void
  /** Calls back where some were missed. */
  onLost(listener: () => void): void
  /**
   * Gives letters after a revision that have arrived already once more, to `take` alone, and calls `then` before the next one
   * arrives.
   */
  catchUp(revision: number, take: (letter: Received) => Awaitable<void>, then: () => void): Promise<void>
  /** What letters that arrive call a session. */
  nameOf(session: string): string
}

/** What handlers work with: made once at start. */
export interface Services {
  readonly clock: Clock
  readonly random: RandomBytes
  readonly catalog: () => Catalog
  readonly server: { readonly name: string; readonly version: string; readonly instructions: string | undefined }
  readonly revisions: { readonly stateless: Revision; readonly stateful: ReadonlyMap<string, Revision> }
  /** The methods of the stateful revisions. */
  readonly methods: ReadonlyMap<string, Method>
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
  /** The post between replicas; undefined where there is but one. */
  readonly mail: Post | undefined
  readonly log: Log
  /** What may be logged of something that a tool, a resource or a prompt threw. */
  readonly describeFailure: (thrown: unknown) => object
}
