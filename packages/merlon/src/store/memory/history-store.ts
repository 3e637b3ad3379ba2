import type { Instant } from '../../call.ts'
import type { HistoryEvent, HistoryStore } from '../../history/history-store.ts'

interface Kept extends HistoryEvent {
  readonly at: Instant
}

interface SessionHistory {
  /** In the order of their coming, over all streams. */
  events: Kept[]
  next: number
  /** For each stream the last event that is no longer kept. */
  readonly dropped: Map<number, number>
  /** At or below this place nothing is known any more. */
  floor: number
}

const droppedStreamsMax = 1_000

/** Event history in the memory of one process, bounded by number for each session and by age. */
export class MemoryHistoryStore implements HistoryStore {
  private readonly sessions = new Map<string, SessionHistory>()
  private readonly eventsMax: number
  private readonly historyMs: number

  constructor(bounds: { readonly eventsMax: number; readonly historyMs: number }) {
    this.eventsMax = bounds.eventsMax
    this.historyMs = bounds.historyMs
  }

  append(session: string, stream: number, message: string, now: Instant): number {
    let history = this.sessions.get(session)
    if (history === undefined) {
      history = { events: [], next: 1, dropped: new Map(), floor: 0 }
      this.sessions.set(session, history)
    }
    const seq = history.next++
    history.events.push({ stream, seq, message, at: now })
    this.trim(history, now)
    return seq
  }

  after(session: string, stream: number, seq: number, now: Instant): readonly HistoryEvent[] | undefined {
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
    const { events, dropped } = history
    let keepFrom = Math.max(0, events.length - this.eventsMax)
    while (keepFrom < events.length && events[keepFrom]!.at + this.historyMs <= now) keepFrom++
    if (keepFrom === 0) return
    for (const { stream, seq } of events.slice(0, keepFrom)) {
      dropped.delete(stream)
      dropped.set(stream, seq)
    }
    for (const [stream, seq] of dropped) {
      if (dropped.size <= droppedStreamsMax) break
      dropped.delete(stream)
      history.floor = Math.max(history.floor, seq)
    }
    history.events = events.slice(keepFrom)
  }
}
