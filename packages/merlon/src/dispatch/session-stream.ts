import type { KeyObject } from 'node:crypto'
import type { Clock, Reply } from '../call.ts'
import { encodeEventId } from '../history/event-id.ts'
import type { HistoryOwner, HistoryStore } from '../history/history-store.ts'

/** What makes streams resumable. */
export interface Resumption {
  readonly history: HistoryStore
  readonly key: KeyObject
  readonly clock: Clock
}

/** How long a client waits before it resumes a stream that broke. */
export const resumeAfterMs = 1_000

/**
 * One stream of a session. Each message is kept before it is sent; a reader that is lost can be followed by another, who
 * gets what the first did not. Without resumption a message without a reader is gone.
 */
export class SessionStream {
  readonly session: HistoryOwner
  readonly number: number
  private reader: Reply | undefined
  /** Who is being given what it missed. */
  private returning: Reply | undefined
  private readonly resumption: Resumption | undefined
  private tail: Promise<void> | undefined
  /** A message could not be kept: nothing after it is kept or sent, so that what is kept has no gap. */
  private broken = false

  constructor(session: HistoryOwner, number: number, resumption: Resumption | undefined) {
    this.session = session
    this.number = number
    this.resumption = resumption
  }

  /** Whether somebody is reading it now. */
  get taken(): boolean {
    return isReading(this.reader) || isReading(this.returning)
  }

  /** Whether a message of it is lost, and with it all that would follow. */
  get isBroken(): boolean {
    return this.broken
  }

  attach(reply: Reply): void {
    this.reader = reply
    reply.openStream()
  }

  /**
   * Gives a reader what came after `seq`, and then what comes; false where some of that is no longer kept. This takes its
   * turn among the messages, so that none is lost or sent twice between what was missed and what comes.
   */
  resume(reply: Reply, seq: number, { history, key, clock }: Resumption): Promise<boolean> {
    this.returning = reply
    const replay = (this.tail ?? Promise.resolve()).then(async () => {
      try {
        const missed = this.broken ? undefined : await history.after(this.session, this.number, seq, clock())
        if (missed === undefined) return false
        this.attach(reply)
        for (const event of missed)
          if (event.message !== '')
            reply.event(event.message, encodeEventId(key, this.session.id, this.number, event.seq))
        return true
      } finally {
        this.returning = undefined
      }
    })
    this.follow(
      replay.then(
        () => undefined,
        () => undefined,
      ),
    )
    return replay
  }

  /** Sends the id that a resume would name if the stream broke before its first message. */
  prime(): void {
    this.keep('', (id) => {
      if (id !== undefined) this.reader?.prime(id, resumeAfterMs)
    })
  }

  send(message: string): void {
    this.keep(message, (id) => this.reader?.event(message, id))
  }

  /** The last message; the stream ends with it. */
  finish(message: string): void {
    this.keep(message, (id) => this.reader?.answer(message, 200, id))
  }

  close(): void {
    this.inOrder(() => this.reader?.finish())
  }

  /** Lets the reader go and asks it to come back. The stream itself goes on. */
  release(retryMs: number): void {
    this.keep('', (id) => {
      if (id === undefined) return
      this.reader?.prime(id, retryMs)
      this.reader?.finish()
      this.reader = undefined
    })
  }

  /** Keeps first, sends after: what a client has seen is always in the history. */
  private keep(message: string, send: (id: string | undefined) => void): void {
    const { resumption } = this
    if (resumption === undefined) {
      this.inOrder(() => send(undefined))
      return
    }
    const { history, key, clock } = resumption
    const sendAs = (seq: number) => send(encodeEventId(key, this.session.id, this.number, seq))
    const append = () => history.append(this.session, this.number, message, clock())
    if (this.tail !== undefined) {
      this.queue(
        this.tail.then(async () => {
          if (!this.broken) sendAs(await append())
        }),
      )
      return
    }
    if (this.broken) return
    try {
      const seq = append()
      if (typeof seq === 'number') sendAs(seq)
      else this.queue(seq.then(sendAs))
    } catch {
      this.cut()
    }
  }

  private inOrder(work: () => void): void {
    if (this.tail === undefined) work()
    else this.queue(this.tail.then(work))
  }

  /** A message that could not be kept is not sent, and nothing after it: the reader is cut off. */
  private queue(work: Promise<void>): void {
    this.follow(work.catch(() => this.cut()))
  }

  private cut(): void {
    this.broken = true
    this.reader?.finish()
    this.reader = undefined
  }

  private follow(tail: Promise<void>): void {
    this.tail = tail
    void tail.then(() => {
      if (this.tail === tail) this.tail = undefined
    })
  }
}

function isReading(reply: Reply | undefined): boolean {
  return reply !== undefined && !reply.gone
}
