import type { Change, Instant, Params, RequestId, ResponseError } from '../call.ts'

/** The session that a letter is about. */
export interface MailSession {
  readonly id: string
  readonly tenant: string
  readonly binding: string
}

/** A change that a tool announced. Whom it concerns is found out where it arrives. */
export type SharedChange = { readonly kind: 'tools' | 'prompts' | 'resources' } | Extract<Change, { kind: 'resource' }>

/** What one replica tells the others of a session. */
export type SessionNews =
  /** The client's answer to a question that another replica asked. */
  | { readonly kind: 'answer'; readonly id: RequestId; readonly result?: Params; readonly error?: ResponseError }
  /** The client takes back a request that another replica answers. */
  | { readonly kind: 'cancel'; readonly request: RequestId }

export type Letter =
  | { readonly session: MailSession; readonly news: SessionNews }
  | { readonly session?: undefined; readonly news: { readonly kind: 'change'; readonly change: SharedChange } }

/** A letter as it arrives. Its session is known by `nameOf` alone. */
export type Received = { readonly revision: number } & (
  | { readonly session: string; readonly binding: string; readonly news: SessionNews }
  | { readonly session?: undefined; readonly news: Extract<Letter, { session?: undefined }>['news'] }
)

export interface Arrived {
  /** Oldest first. What could not be opened is not among them. */
  readonly letters: readonly Received[]
  /** The last that was looked at; the next look goes on from here. */
  readonly revision: number
  /** Some that came after the asked place are no longer kept. */
  readonly lost: boolean
  /** There was too much for one answer. */
  readonly more: boolean
}

/** How long a letter is kept at least. */
export const keptMs = 60_000

/** Letters and their bytes, as they are kept. */
export interface Room {
  readonly letters: number
  readonly bytes: number
}

/** What a mailbox holds at most. Beyond it letters are refused. */
export interface MailBounds {
  /** Letters about one session. */
  readonly perSession: number
  /** About all sessions of one principal, and of one tenant. */
  readonly perPrincipal: Room
  readonly perTenant: Room
  /** About all sessions. What is left above it is for changes alone, which concern everybody. */
  readonly ofSessions: Room
  readonly inAll: Room
}

/**
 * What replicas leave for each other: every replica reads every letter, once, in the one order in which they were left. A
 * verb is one atomic act.
 */
export interface Mailbox {
  /** What a session is called in letters that arrive: tells nothing of its id. */
  nameOf(session: string): string
  /**
   * Leaves letters, all or none. They will be read after all that were left before. An answer to a question that has one
   * is not left a second time. `Fault('capacity.exceeded')` where there is no room.
   */
  leave(letters: readonly Letter[], now: Instant): Promise<void>
  /**
   * What was left after the revision, a bounded number at once. `changes`: of it only what is about no session, and of the rest
   * not whether any is lost.
   */
  after(revision: number, only?: 'changes'): Promise<Arrived>
  /** The revision of the last that was left. */
  revision(): Promise<number>
  /** Takes away what is older than `keptMs`; answers how many. */
  sweep(now: Instant): Promise<number>
}
