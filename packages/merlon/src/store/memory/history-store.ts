import type { Instant } from '../../call.ts'
import type { HistoryEvent, HistoryOwner, HistoryStore } from '../../history/history-store.ts'

interface Kept extends HistoryEvent {
  readonly at: Instant
}

interface SessionHistory {
  /** In the order of their coming, over all streams. */
  events: Kept[]
  /** The characters of their messages together. */
  chars: number
  next: number
  /** For each stream the last event that is no longer kept. */
  readonly dropped: Map<number, number>
  /** At or below this place nothing is known any more. */
  floor: number
}

const droppedStreamsMax = 1_000

/** How many characters of messages are held: for one session, and in all. */
export interface HistoryRoom {
  readonly sessionCharsMax: number
  readonly charsMax: number
}

/**
 * Event history in the memory of one process, bounded for each session by number, by size and by age. Where all sessions
 * together hold too much, the one that has been quiet for longest gives way: its client is told that it missed something.
 */
export class MemoryHistoryStore implements HistoryStore {
  private readonly sessions = new Map<string, SessionHistory>()
  private readonly eventsMax: number
  private readonly historyMs: number
  private readonly room: HistoryRoom
  private chars = 0

  constructor(
    bounds: { readonly eventsMax: number; readonly historyMs: number },
    room: HistoryRoom = { sessionCharsMax: 4_194_304, charsMax: 134_217_728 },
  ) {
    this.eventsMax = bounds.eventsMax
    this.historyMs = bounds.historyMs
    this.room = room
  }

  append({ id: session }: HistoryOwner, stream: number, message: string, now: Instant): number {
    let history = this.sessions.get(session)
    if (history === undefined) history = { events: [], chars: 0, next: 1, dropped: new Map(), floor: 0 }
    // The order of the map is that of the last appends.
    else this.sessions.delete(session)
    this.sessions.set(session, history)
    const seq = history.next++
    history.events.push({ stream, seq, message, at: now })
    history.chars += message.length
    this.chars += message.length
    this.trim(history, now)
    if (this.chars > this.room.charsMax) this.makeRoom()
    return seq
  }

  after({ id: session }: HistoryOwner, stream: number, seq: number, now: Instant): readonly HistoryEvent[] | undefined {
    const history = this.sessions.get(session)
    if (history === undefined) return seq === 0 ? [] : undefined
    this.trim(history, now)
    if (seq >= history.next || seq < history.floor || seq < (history.dropped.get(stream) ?? 0)) return undefined
    const events: HistoryEvent[] = []
    for (const event of history.events) {
      if (event.stream === stream && event.seq > seq) events.push({ stream, seq: event.seq, message: event.message })
    }
    return events
  }

  drop(session: string): void {
    this.chars -= this.sessions.get(session)?.chars ?? 0
    this.sessions.delete(session)
  }

  sweep(now: Instant): number {
    let gone = 0
    for (const history of this.sessions.values()) {
      const before = history.events.length
      this.trim(history, now)
      gone += before - history.events.length
    }
    return gone
  }

  private trim(history: SessionHistory, now: Instant): void {
    const { events } = history
    let keepFrom = Math.max(0, events.length - this.eventsMax)
    while (keepFrom < events.length && events[keepFrom]!.at + this.historyMs <= now) keepFrom++
    let chars = history.chars
    for (let at = 0; at < keepFrom; at++) chars -= events[at]!.message.length
    while (chars > this.room.sessionCharsMax) chars -= events[keepFrom++]!.message.length
    this.forget(history, keepFrom)
  }

  private makeRoom(): void {
    for (const history of this.sessions.values()) {
      if (this.chars <= this.room.charsMax) return
      this.forget(history, history.events.length)
    }
  }

  /** Forgets the first `count` events, and remembers that there were some. */
  private forget(history: SessionHistory, count: number): void {
    if (count === 0) return
    const { events, dropped } = history
    for (const { stream, seq, message } of events.slice(0, count)) {
      dropped.delete(stream)
      dropped.set(stream, seq)
      history.chars -= message.length
      this.chars -= message.length
    }
    for (const [stream, seq] of dropped) {
      if (dropped.size <= droppedStreamsMax) break
      dropped.delete(stream)
      history.floor = Math.max(history.floor, seq)
    }
    history.events = events.slice(count)
  }
}
