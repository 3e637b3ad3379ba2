import type { Awaitable, Clock } from '../call.ts'
import type { Bus } from './bus.ts'
import { keptMs, type Letter, type Mailbox, type Received, type SharedChange } from './mailbox.ts'
import { oneAtATime } from './one-at-a-time.ts'

export interface MailroomParts {
  readonly mailbox: Mailbox
  readonly bus: Bus
  readonly clock: Clock
  /** Told of what went wrong where nobody waits. */
  readonly report: (what: string, cause: unknown) => void
}

/** What waits to be told of the catalog at most, each change once. */
const waitingMax = 1_000

/**
 * The post of one replica: leaves letters for the others and for itself, and reads what is left, in the order in which it was
 * left, each letter once. It begins with what is left after `start`.
 */
export class Mailroom {
  readonly #parts: MailroomParts
  readonly #listeners: ((letter: Received) => Awaitable<void>)[] = []
  readonly #lostListeners: (() => void)[] = []
  readonly #waiting = new Map<string, { readonly change: SharedChange; readonly since: number }>()
  readonly #send: () => Promise<unknown>
  readonly #look: () => Promise<unknown>
  /** The last that reads or gives letters. */
  #turn: Promise<unknown> = Promise.resolve()
  #revision: number | undefined
  #stopListening: (() => void) | undefined

  constructor(parts: MailroomParts) {
    this.#parts = parts
    this.#look = oneAtATime(() => this.#inTurn(() => this.#readAll()))
    this.#send = oneAtATime(() => this.#sendWaiting())
  }

  /** The next letter is given when the promise of this one is settled. */
  onLetter(listener: (letter: Received) => Awaitable<void>): void {
    this.#listeners.push(listener)
  }

  /** Calls back where letters were missed: this process was away for longer than they are kept. */
  onLost(listener: () => void): void {
    this.#lostListeners.push(listener)
  }

  async start(): Promise<void> {
    this.#revision = await this.#parts.mailbox.revision()
    this.#stopListening = this.#parts.bus.onWake((text) => {
      if (text === 'mail') this.#look().catch((cause) => this.#parts.report('reading mail', cause))
    })
  }

  /** To be called now and then: reads what no wake told of, and sends what could not be sent. */
  async poll(): Promise<void> {
    if (this.#waiting.size > 0) await this.#send()
    await this.#look()
  }

  async sweep(): Promise<void> {
    await this.#parts.mailbox.sweep(this.#parts.clock())
  }

  nameOf(session: string): string {
    return this.#parts.mailbox.nameOf(session)
  }

  /** Resolves when all replicas will read it, whatever becomes of this one. */
  async send(letter: Letter): Promise<void> {
    await this.#parts.mailbox.leave([letter], this.#parts.clock())
    this.#parts.bus.wake('mail')
  }

  /**
   * Sends soon, and again for as long as letters are kept where the store is out of reach. A change that waits already is not
   * sent twice: it tells nothing new.
   */
  announce(change: SharedChange): void {
    const name = change.kind === 'resource' ? `resource ${change.uri}` : change.kind
    if (this.#waiting.has(name)) return
    if (this.#waiting.size >= waitingMax) {
      this.#parts.report('telling other servers of a change', new Error(`${waitingMax} changes wait already`))
      return
    }
    this.#waiting.set(name, { change, since: this.#parts.clock() })
    this.#send().catch((cause) => this.#parts.report('telling other servers of a change', cause))
  }

  /**
   * Gives the changes that were left after a revision and have been read here already once more, to `take` alone, and calls
   * `then`. No new letter is given meanwhile: what comes after those that were taken comes after `then`. Letters about
   * sessions are not looked at: who opens a stream does not pay for the post of others.
   */
  catchUp(since: number, take: (letter: Received) => Awaitable<void>, then: () => void): Promise<void> {
    return this.#inTurn(async () => {
      const upTo = this.#revision ?? 0
      for (let from = since; from < upTo; ) {
        const arrived = await this.#parts.mailbox.after(from, 'changes')
        for (const letter of arrived.letters) if (letter.revision <= upTo) await take(letter)
        // A counter that went back comes no further. Those who read on are told of what was lost.
        if (arrived.revision <= from) break
        from = arrived.revision
      }
      then()
    })
  }

  /** Reads no more, and sends what waits. */
  async close(): Promise<void> {
    this.#stopListening?.()
    if (this.#waiting.size > 0) await this.#send()
  }

  async #sendWaiting(): Promise<void> {
    const { mailbox, bus, clock } = this.#parts
    // What comes in the same turn goes together.
    await Promise.resolve()
    const now = clock()
    for (const [name, { since }] of this.#waiting) if (now - since > keptMs) this.#waiting.delete(name)
    const sending = [...this.#waiting]
    if (sending.length === 0) return
    // What is announced meanwhile is news again.
    this.#waiting.clear()
    try {
      await mailbox.leave(
        sending.map(([, { change }]) => ({ news: { kind: 'change', change } })),
        now,
      )
    } catch (cause) {
      for (const [name, change] of sending) this.#waiting.set(name, change)
      throw cause
    }
    bus.wake('mail')
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work)
    this.#turn = turn.catch(() => undefined)
    return turn
  }

  async #readAll(): Promise<void> {
    for (let more = this.#revision !== undefined; more; ) {
      const arrived = await this.#parts.mailbox.after(this.#revision!)
      this.#revision = arrived.revision
      if (arrived.lost) for (const listener of this.#lostListeners) listener()
      for (const letter of arrived.letters) await this.#give(letter)
      more = arrived.more
    }
  }

  async #give(letter: Received): Promise<void> {
    for (const listener of this.#listeners) {
      try {
        await listener(letter)
      } catch (cause) {
        this.#parts.report('taking a letter', cause)
      }
    }
  }
}
