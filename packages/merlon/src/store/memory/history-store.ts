import type { Instant } from '../../call.ts'
import {
  type Claim,
  type Claimant,
  claimAheadMs,
  type HistoryEvent,
  type HistoryOwner,
  type HistoryStore,
  type Mark,
  type Missed,
  type Opening,
} from '../../history/history-store.ts'

interface Kept extends HistoryEvent {
  readonly at: Instant
}

interface KeptStream {
  readonly producer: string | undefined
  readonly about: string | undefined
  ended: boolean
  reader: string | undefined
  claim: number
  claimedAt: Instant
  cursor: number
  told: number
}

interface SessionHistory {
  /** In the order of their coming, over all streams. */
  events: Kept[]
  /** The characters of their messages together. */
  chars: number
  next: number
  readonly streams: Map<number, KeptStream>
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

  append({ id: session }: HistoryOwner, stream: number, message: string, now: Instant, mark?: Mark): number {
    const history = this.historyOf(session)
    // The order of the map is that of the last appends.
    this.sessions.delete(session)
    this.sessions.set(session, history)
    const seq = history.next++
    history.events.push({ stream, seq, message, at: now })
    history.chars += message.length
    this.chars += message.length
    if (mark?.opens !== undefined) history.streams.set(stream, opened(mark.opens))
    if (mark?.ends) this.end(history, stream)
    this.trim(history, now)
    if (this.chars > this.room.charsMax) this.makeRoom()
    return seq
  }

  after({ id: session }: HistoryOwner, stream: number, seq: number, now: Instant): Missed | undefined {
    const history = this.sessions.get(session)
    const kept = history?.streams.get(stream)
    const state = { producer: kept?.producer, ended: kept?.ended ?? stream !== 0 }
    if (history === undefined) return seq === 0 ? { ...state, events: [] } : undefined
    this.trim(history, now)
    if (seq >= history.next || seq < history.floor || seq < (history.dropped.get(stream) ?? 0)) return undefined
    const events: HistoryEvent[] = []
    for (const event of history.events) {
      if (event.stream === stream && event.seq > seq) events.push({ stream, seq: event.seq, message: event.message })
    }
    return { ...state, events }
  }

  claim(
    { id: session }: HistoryOwner,
    stream: number,
    seq: number | undefined,
    { reader, over, waitedMs }: Claimant,
    now: Instant,
  ): Claim {
    const history = stream === 0 ? this.historyOf(session) : this.sessions.get(session)
    if (stream === 0 && history?.streams.has(stream) === false) history.streams.set(stream, opened(undefined))
    const kept = history?.streams.get(stream)
    if (history === undefined || kept === undefined || (seq ?? 0) >= history.next) return { outcome: 'unknown' }
    const position = seq ?? history.next - 1
    if (seq !== undefined && kept.cursor > seq) return { outcome: 'moved-on' }
    const racing = kept.claimedAt > now - waitedMs && kept.claimedAt <= now + claimAheadMs
    if (racing || (kept.reader !== undefined && kept.reader !== reader && kept.reader !== over))
      return { outcome: 'taken', by: kept.reader, claim: kept.claim, racing }
    const { producer, about, ended, told } = kept
    Object.assign(kept, { reader, claim: kept.claim + 1, claimedAt: now, cursor: seq ?? kept.cursor })
    return { outcome: 'held', claim: kept.claim, position, producer, about, ended, told }
  }

  leave({ id: session }: HistoryOwner, stream: number, claim: number | { readonly of: string }, readMs = 0): void {
    const kept = this.sessions.get(session)?.streams.get(stream)
    if (kept?.reader === undefined) return
    const isThis = typeof claim === 'number' ? kept.claim === claim : kept.reader === claim.of && kept.claim > 0
    if (!isThis) return
    kept.reader = undefined
    kept.claimedAt += readMs
  }

  close(owner: HistoryOwner, stream: number, producer: string, message: string, now: Instant): boolean {
    const kept = this.sessions.get(owner.id)?.streams.get(stream)
    if (kept === undefined || kept.ended || kept.producer !== producer) return false
    this.append(owner, stream, message, now, { ends: true })
    return true
  }

  tell(owner: HistoryOwner, message: string, change: number, now: Instant): boolean {
    const kept = this.sessions.get(owner.id)?.streams.get(0)
    if (kept === undefined || kept.told >= change) return false
    kept.told = change
    this.append(owner, 0, message, now)
    return true
  }

  isOpen({ id: session }: HistoryOwner): boolean {
    return (this.sessions.get(session)?.streams.get(0)?.claim ?? 0) > 0
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

  private historyOf(session: string): SessionHistory {
    let history = this.sessions.get(session)
    if (history === undefined) {
      history = { events: [], chars: 0, next: 1, streams: new Map(), dropped: new Map(), floor: 0 }
      this.sessions.set(session, history)
    }
    return history
  }

  /** Whoever began it has left it with its end. */
  private end({ streams }: SessionHistory, stream: number): void {
    const kept = streams.get(stream)
    if (kept === undefined) return
    kept.ended = true
    // Who came back for it has a claim of their own, and leaves when they had the end.
    if (kept.claim === 0) kept.reader = undefined
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
      if (history.streams.get(stream)?.ended === false) continue
      dropped.delete(stream)
      history.streams.delete(stream)
      history.floor = Math.max(history.floor, seq)
    }
    history.events = events.slice(count)
  }
}

function opened(opening: Opening | undefined): KeptStream {
  const { producer, about } = opening ?? {}
  return { producer, about, ended: false, reader: producer, claim: 0, claimedAt: 0, cursor: 0, told: 0 }
}
