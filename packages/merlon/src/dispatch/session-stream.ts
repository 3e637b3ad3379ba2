import type { Reply } from '../call.ts'
import { encodeEventId } from '../history/event-id.ts'
import type { HistoryOwner, Mark } from '../history/history-store.ts'
import { persist, type Resumption, resumeAfterMs } from './resumption.ts'

/** What a stream answers. */
export interface Answering {
  /** As it is kept, for whoever goes on with the stream elsewhere. */
  readonly about: string
  /** The last message of a stream whose answer cannot be kept. */
  readonly lost: () => string
}

/** Who began a stream reads it by this claim; those who come back have higher ones. */
const firstClaim = 0

/**
 * One stream of a session, where its messages are made. Each is kept before it is sent; a reader that is lost can be followed
 * by another, here or in another process, who gets what the first did not. Without resumption a message without a reader is
 * gone.
 */
export class SessionStream {
  readonly session: HistoryOwner
  readonly number: number
  private reader: Reply | undefined
  /** Told when the reader is about to be given the last. */
  private onEnd: (() => void) | undefined
  /** Who is being given what it missed. */
  private returning: Reply | undefined
  private readonly resumption: Resumption | undefined
  /** Undefined for the session's own stream. */
  private readonly answering: Answering | undefined
  private readonly producer: string | undefined
  private tail: Promise<void> | undefined
  /** Whether its first event is on its way, and whether any is kept. */
  private begun = false
  private kept = false
  /** Whether its last is on its way, and whether that is kept. */
  private ended = false
  private over = false
  /** A message could not be kept: nothing after it is kept or sent, so that what is kept has no gap. */
  private broken = false

  constructor(session: HistoryOwner, number: number, resumption: Resumption | undefined, answering?: Answering) {
    this.session = session
    this.number = number
    this.resumption = resumption
    this.answering = answering
    this.producer = resumption?.replicas.self
  }

  /** Whether somebody is reading it now. */
  get taken(): boolean {
    return isReading(this.reader) || isReading(this.returning)
  }

  /** Whether a message of it is lost, and with it all that would follow. */
  get isBroken(): boolean {
    return this.broken
  }

  attach(reply: Reply, onEnd?: () => void): void {
    this.reader = reply
    this.onEnd = onEnd
    reply.openStream()
  }

  /** Begins it with whoever sent the request. When they leave, others may read it. */
  begin(reply: Reply): void {
    this.attach(reply)
    const { resumption } = this
    if (resumption === undefined) return
    const { history, wakes } = resumption
    reply.onGone(() => {
      if (this.ended || this.broken) return
      // After what is on its way: before its first event there is nothing to leave.
      this.inOrder(() => {
        void persist(() => history.leave(this.session, this.number, firstClaim)).then(() =>
          wakes.wake(this.session.id, this.number),
        )
      })
    })
  }

  /**
   * Gives a reader what came after `seq`, and then what comes; false where some of that is no longer kept. This takes its
   * turn among the messages, so that none is lost or sent twice between what was missed and what comes. `onEnd` is told when
   * the reader is about to be given the last.
   */
  resume(
    reply: Reply,
    seq: number,
    allows: (message: string) => boolean = () => true,
    onEnd?: () => void,
  ): Promise<boolean> {
    this.returning = reply
    const replay = (this.tail ?? Promise.resolve()).then(async () => {
      try {
        const { resumption } = this
        if (resumption === undefined || this.broken) return false
        const { history, key, clock } = resumption
        const missed = await history.after(this.session, this.number, seq, clock())
        if (missed === undefined) return false
        this.attach(reply, onEnd)
        for (const event of missed.events)
          if (event.message !== '' && allows(event.message))
            reply.event(event.message, encodeEventId(key, this.session.id, this.number, event.seq))
        if (this.over) {
          onEnd?.()
          reply.finish()
        }
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
    this.end(message, (id) => this.reader?.answer(message, 200, id))
  }

  /** Ends it without a message. */
  close(): void {
    if (this.begun) this.end('', () => this.reader?.finish())
    else this.inOrder(() => this.reader?.finish())
  }

  /** Sends and keeps nothing more: the session is over, or this process may not write to it. */
  stop(): void {
    this.broken = true
    this.letGo()?.finish()
  }

  /** Calls back when all that was sent is kept. */
  onceKept(listener: () => void): void {
    if (this.tail === undefined) listener()
    else void this.tail.then(() => this.onceKept(listener))
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

  private end(message: string, send: (id: string | undefined) => void): void {
    const last = (id: string | undefined) => {
      this.over = true
      this.onEnd?.()
      send(id)
    }
    this.keep(message, last, true)
    this.ended = true
  }

  /** Keeps first, sends after: what a client has seen is always in the history. */
  private keep(message: string, send: (id: string | undefined) => void, ends = false): void {
    const { resumption } = this
    if (resumption === undefined) {
      this.inOrder(() => send(undefined))
      return
    }
    if (this.broken) return
    const { history, key, clock, replicas, wakes } = resumption
    const sendAs = (seq: number) => {
      this.kept = true
      if (this.broken) return
      const unread = !this.taken
      send(encodeEventId(key, this.session.id, this.number, seq))
      // Somebody may follow it in another process.
      if (unread && replicas.shared) wakes.wake(this.session.id, this.number)
    }
    const append = () => history.append(this.session, this.number, message, clock(), this.mark(ends))
    if (this.tail !== undefined) {
      this.queue(
        this.tail.then(async () => {
          if (!this.broken) sendAs(await append())
        }),
      )
      return
    }
    try {
      const seq = append()
      if (typeof seq === 'number') sendAs(seq)
      else this.queue(seq.then(sendAs))
    } catch {
      this.cut()
    }
  }

  private mark(ends: boolean): Mark | undefined {
    const { answering, producer } = this
    if (answering === undefined || producer === undefined) return undefined
    const opens = this.begun ? undefined : { producer, about: answering.about }
    this.begun = true
    if (opens !== undefined) return { opens, ends }
    return ends ? { ends } : undefined
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
    const before = this.broken
    this.broken = true
    const { resumption, answering, producer } = this
    const reader = this.letGo()
    if (before || resumption === undefined || answering === undefined || producer === undefined) {
      reader?.finish()
      return
    }
    // Before anything was kept there is nothing to come back for, so that they are told at once.
    if (this.kept) reader?.finish()
    else reader?.answer(answering.lost(), 200)
    const { history, clock, wakes } = resumption
    const { session, number } = this
    void persist(() => history.close(session, number, producer, answering.lost(), clock())).then(() =>
      wakes.wake(session.id, number),
    )
  }

  private letGo(): Reply | undefined {
    const { reader } = this
    this.reader = undefined
    return reader
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
