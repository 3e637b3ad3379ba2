import type { Awaitable, Instant } from '../call.ts'

/** One message of a stream, as it was or would have been sent. `stream` is unique within its session; `seq` grows within the session. */
export interface HistoryEvent {
  readonly stream: number
  readonly seq: number
  readonly message: string
}

/** Whose events these are: what the place of a record is made of. */
export interface HistoryOwner {
  readonly id: string
  readonly tenant: string
}

/** Who makes the events of a stream, and what they answer. */
export interface Opening {
  /** The replica that makes them. Whoever began the stream reads it there by the claim 0, until they leave or it ends. */
  readonly producer: string
  /** What the stream answers, kept as secret as the events. */
  readonly about: string
}

/** What an event is to its stream, beside the next one. */
export interface Mark {
  /** It is the first. */
  readonly opens?: Opening
  /** It is the last. */
  readonly ends?: boolean
}

/** How far a stream has come. */
export interface StreamState {
  /** Undefined where any replica may add to it, as to the session's own. */
  readonly producer: string | undefined
  /** Whether nothing more comes. */
  readonly ended: boolean
}

/** What came after a place, in order, and how far the stream had come then. */
export interface Missed extends StreamState {
  readonly events: readonly HistoryEvent[]
}

/** Who wants to read a stream. */
export interface Claimant {
  /** The replica that the reader is connected to. What it holds already is its own to give up: it knows who reads there. */
  readonly reader: string
  /** A replica that is dead: what it holds, nobody holds. */
  readonly over?: string
  /** For how long the reader has been here. Who claimed the stream within that time came at the same time: see `claimAheadMs`. */
  readonly waitedMs: number
}

/**
 * How far ahead of the time a claim may seem to have been made: clocks differ by milliseconds. What lies further ahead comes of
 * a clock that was set back, and says nothing of who came first.
 */
export const claimAheadMs = 1_000

/** The answer to a claim. */
export type Claim =
  | (StreamState & {
      readonly outcome: 'held'
      /** Names this claim; each that succeeds has a higher one. */
      readonly claim: number
      /** What is read comes after this place. */
      readonly position: number
      /** What it answers; undefined for the session's own. */
      readonly about: string | undefined
      /** Of the session's own: the last change that was told in it. One that nobody had opened begins with the last there is. */
      readonly told: number
    })
  /** Somebody reads it at the replica `by`, or has just read it; `racing` where they came at the same time. */
  | { readonly outcome: 'taken'; readonly by: string | undefined; readonly claim: number; readonly racing: boolean }
  /** A reader has come back with a later place since. */
  | { readonly outcome: 'moved-on' }
  /** There is no such stream, or no record of it any more. */
  | { readonly outcome: 'unknown' }

/**
 * The messages of a session's streams, kept so that a client that lost its connection misses none and gets none twice,
 * and who reads each of them, in whichever process. A verb is one atomic act. An append is acknowledged when it is as
 * durable as the store can make it; only then may the message be sent.
 */
export interface HistoryStore {
  /** Keeps the next message of a stream and answers its place in it. */
  append(session: HistoryOwner, stream: number, message: string, now: Instant, mark?: Mark): Awaitable<number>
  /** What came after `seq` on the stream; undefined where some of it is no longer kept. */
  after(session: HistoryOwner, stream: number, seq: number, now: Instant): Awaitable<Missed | undefined>
  /**
   * Takes the stream for a reader who has had all up to `seq`, or who has had nothing and wants what comes from here on.
   * Only the session's own stream, 0, is there before its first event.
   */
  claim(
    session: HistoryOwner,
    stream: number,
    seq: number | undefined,
    claimant: Claimant,
    now: Instant,
  ): Awaitable<Claim>
  /**
   * Gives a claim up, if it is still the last. A reader who had all there is of an ended stream read it for `readMs`: who came
   * within that time came at the same time. A claim that was not answered is given up by the replica that it was made for:
   * whatever it holds by then, but for who began the stream.
   */
  leave(
    session: HistoryOwner,
    stream: number,
    claim: number | { readonly of: string },
    readMs?: number,
  ): Awaitable<void>
  /**
   * Ends a stream whose producer is gone, or could not keep a message of it, with its last message: true where this call did.
   * Nothing happens where it has ended, or is another's.
   */
  close(session: HistoryOwner, stream: number, producer: string, message: string, now: Instant): Awaitable<boolean>
  /**
   * Adds the message of a change to the session's own stream: false where this change or a later one was told in it already, or
   * nobody has opened it. Changes are numbered in their order.
   */
  tell(session: HistoryOwner, message: string, change: number, now: Instant): Awaitable<boolean>
  /** Whether somebody has opened the session's own stream, in whichever process. */
  isOpen(session: HistoryOwner): Awaitable<boolean>
  /** Forgets all of a session. */
  drop(session: string): Awaitable<void>
  /** Forgets what is too old; answers how many events. */
  sweep(now: Instant): Awaitable<number>
}
