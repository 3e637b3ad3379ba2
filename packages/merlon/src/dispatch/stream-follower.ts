import type { Instant, Reply } from '../call.ts'
import { encodeEventId } from '../history/event-id.ts'
import type { HistoryOwner, Missed } from '../history/history-store.ts'
import { type Resumption, resumeAfterMs } from './resumption.ts'
import type { StreamWatch } from './stream-wakes.ts'

export interface Followed {
  readonly session: HistoryOwner
  readonly number: number
  /** What the reader has had already. */
  readonly position: number
  /** The last message, where whoever makes them is gone before it came; undefined where nobody waits for one. */
  readonly lost: (() => string) | undefined
  /** Whether the reader may have this message. */
  readonly allows: (message: string) => boolean
  /** Whether an event without a message is sent for its id. */
  readonly primes: boolean
  /** Told when the reader has had the last. */
  readonly onEnd?: () => void
}

/** How often it is looked for what no wake told of, and for a producer that is gone. */
const pollMs = 1_000

/**
 * Gives a reader a stream whose messages are made elsewhere: what the history holds, in order, and then what is added to it.
 * Where the process that makes them is gone, the stream is ended with an error, once for all readers there will ever be, so
 * that a request always gets an answer.
 */
export class StreamFollower {
  private readonly resumption: Resumption
  private readonly followed: Followed
  private readonly reply: Reply
  private readonly watch: StreamWatch
  private position: number
  private askedAt: Instant = 0

  constructor(resumption: Resumption, followed: Followed, reply: Reply) {
    this.resumption = resumption
    this.followed = followed
    this.reply = reply
    this.position = followed.position
    // Before it first reads, so that nothing that comes after that is missed.
    this.watch = resumption.wakes.watch(followed.session.id, followed.number)
  }

  /** Sends what was missed, and goes on with what comes; false where some of what was missed is no longer kept. */
  async open(): Promise<boolean> {
    let missed: Missed | undefined
    try {
      missed = await this.read()
    } catch (error) {
      this.stop()
      throw error
    }
    if (missed === undefined) {
      this.stop()
      return false
    }
    this.reply.openStream()
    this.deliver(missed)
    void this.goOn(missed)
    return true
  }

  /** The reader is asked to come back, and let go of. */
  release(): void {
    const { session, primes, number } = this.followed
    if (primes && this.position > 0)
      this.reply.prime(encodeEventId(this.resumption.key, session.id, number, this.position), resumeAfterMs)
    this.reply.finish()
  }

  /** Waits no more. The reply is its owner's to end. */
  stop(): void {
    this.watch.stop()
  }

  private async goOn(from: Missed): Promise<void> {
    let missed: Missed | undefined = from
    try {
      while (missed !== undefined && !missed.ended && !this.reply.gone) {
        const ended = await this.endIfLost(missed)
        if (!ended) await this.watch.next(pollMs)
        if (this.reply.gone) break
        missed = await this.read()
        if (missed !== undefined) this.deliver(missed)
      }
    } catch {
      // The store is out of reach. The reader comes back for the rest.
    }
    this.stop()
    if (missed?.ended) this.followed.onEnd?.()
    this.reply.finish()
  }

  private read() {
    const { history, clock } = this.resumption
    const { session, number } = this.followed
    return Promise.resolve(history.after(session, number, this.position, clock()))
  }

  private deliver({ events }: Missed): void {
    const { resumption, followed, reply } = this
    for (const { seq, message } of events) {
      this.position = seq
      const id = encodeEventId(resumption.key, followed.session.id, followed.number, seq)
      if (message === '') {
        if (followed.primes) reply.prime(id, resumeAfterMs)
      } else if (followed.allows(message)) reply.event(message, id)
    }
  }

  /** Ends the stream where nobody is left who could: true where there may be more to read now. */
  private async endIfLost({ events, producer }: Missed): Promise<boolean> {
    const { history, replicas, clock, wakes } = this.resumption
    const { session, number, lost } = this.followed
    if (producer === undefined || lost === undefined || events.length > 0) return false
    // A stream of this process is followed only where it is not made here any more.
    if (producer !== replicas.self && (await this.goesOn(producer))) return false
    await history.close(session, number, producer, lost(), clock())
    wakes.wake(session.id, number)
    return true
  }

  /** Asked about once in a while, however often there is a wake. */
  private async goesOn(producer: string): Promise<boolean> {
    const now = performance.now()
    if (now - this.askedAt < pollMs / 2) return true
    this.askedAt = now
    return this.resumption.replicas.isAlive(producer)
  }
}
