import type { Awaitable, Client, Instant, LogLevel } from '../call.ts'

/** What is remembered of a session of the stateful revisions between two calls. */
export interface Session {
  /** The id that the client holds. A store keeps only what it needs to recognise it. */
  readonly id: string
  readonly tenant: string
  /** The binding of the principal that opened it; nobody else can reach it. */
  readonly binding: string
  /** Who opened it, and the public id of the credential they showed: for an administrator to read, not to decide on. */
  readonly principal: string
  readonly credential: string
  readonly version: string
  readonly client: Client
  readonly openedAt: Instant
  readonly expiresAt: Instant
  logLevel: LogLevel | undefined
  /** URIs whose updates the client asked for. */
  subscriptions: ReadonlySet<string> | undefined
}

/** Whose sessions an administrator looks at. */
export type SessionReach = { readonly tenant: string } | { readonly everyTenant: true }

/** A session as an administrator sees it: without the id that the client holds. */
export interface ListedSession {
  /** Names it to an administrator. Tells nothing of the id that the client holds, and is never given twice. */
  readonly id: string
  readonly session: Omit<Session, 'id'>
  readonly usedAt: Instant
}

export interface SessionPage {
  /** The id of the last of the page before. */
  readonly after?: string
  readonly limit: number
  /** Only those that this principal opened. */
  readonly principal?: string
  /** Only those that were opened with the credential of this public id. */
  readonly credential?: string
}

/** Who may call no more. */
export interface Withdrawals {
  /** By public id; in one tenant alone where one is named. */
  readonly credentials: readonly { readonly credential: string; readonly tenant?: string | undefined }[]
  /** Users, by id: whatever they showed. */
  readonly principals: readonly string[]
  /** All that belong to these. */
  readonly tenants: readonly string[]
  /** The revision of the identities up to which this is all that was withdrawn. */
  readonly upTo: number
}

export interface SessionCaps {
  readonly perPrincipal: number
  readonly perTenant: number
  readonly total: number
}

/** What the client may set of its session. */
type Settable = Partial<Pick<Session, 'logLevel' | 'subscriptions'>>
export type SessionChange = Settable | ((session: Pick<Session, keyof Settable>) => Settable)

/**
 * Where sessions live. A verb is one atomic act; time is an argument. A session that is unknown, ended, expired or bound
 * to somebody else is `undefined`, and nobody can tell which.
 */
export interface SessionStore {
  /** Remembers a new session, or says that a cap is reached. */
  open(session: Session, caps: SessionCaps, now: Instant): Awaitable<'opened' | 'full'>
  /** Finds a live session of this binding and notes that it was used. */
  find(id: string, binding: string, now: Instant): Awaitable<Session | undefined>
  /** A live session of this binding as it is now, whoever changed it last. To look is no use. */
  peek(id: string, binding: string, now: Instant): Awaitable<Session | undefined>
  /**
   * Changes what the client may set: to these values, or to what `change` makes of the session as it is now, which may be asked
   * again where somebody else changes it meanwhile. What it throws is thrown. Nothing happens where the session is gone.
   */
  update(id: string, change: SessionChange, now: Instant): Awaitable<void>
  /** Ends a session of this binding: true where this call ended it. */
  end(id: string, binding: string, now: Instant): Awaitable<boolean>
  /**
   * Ends every session that was opened with what is withdrawn, and remembers that it was done up to there. Answers how many.
   * Doing it again ends what was opened meanwhile.
   */
  endWithdrawn(withdrawals: Withdrawals, now: Instant): Awaitable<number>
  /**
   * Up to which revision that was done by whoever shares these sessions: what is withdrawn after it has to be ended yet.
   * `undefined` where none was ever opened before this process, so that nothing has.
   */
  withdrawnUpTo(): Awaitable<number | undefined>
  /** Drops what has expired; answers how many. */
  sweep(now: Instant): Awaitable<number>
  /** A page of the sessions alive now, in the order of their ids. A page shorter than `limit` is the last. To look is no use. */
  list(reach: SessionReach, page: SessionPage, now: Instant): Awaitable<readonly ListedSession[]>
  /** The one of this listed id, within reach. */
  findListed(reach: SessionReach, id: string, now: Instant): Awaitable<ListedSession | undefined>
  /** Ends the one of this listed id: true where this call ended it. */
  endListed(reach: SessionReach, id: string, now: Instant): Awaitable<boolean>
  /** Sessions alive now. */
  count(now: Instant): Awaitable<number>
  /**
   * Calls back once with the id of each session that is over, whoever ended it, as far as this process has seen it: what it
   * holds for it can be let go.
   */
  onOver(listener: (id: string) => void): void
}
