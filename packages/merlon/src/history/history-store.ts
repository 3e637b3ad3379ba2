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

/**
 * The messages of a session's streams, kept so that a client that lost its connection misses none and gets none twice.
 * An append is acknowledged when it is as durable as the store can make it; only then may the message be sent.
 */
export interface HistoryStore {
  /** Keeps the next message of a stream and answers its place in it. */
  append(session: HistoryOwner, stream: number, message: string, now: Instant): Awaitable<number>
  /** What came after `seq` on the stream, in order; undefined where some of it is no longer kept. */
  after(
    session: HistoryOwner,
    stream: number,
    seq: number,
    now: Instant,
  ): Awaitable<readonly HistoryEvent[] | undefined>
  /** Forgets all of a session. */
  drop(session: string): Awaitable<void>
  /** Forgets what is too old; answers how many events. */
  sweep(now: Instant): Awaitable<number>
}
