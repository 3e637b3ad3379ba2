import type { HistoryBounds } from './history-sweep.ts'

/** What a commit adds to the history of one session. */
export interface Added {
  readonly session: Buffer
  readonly events: number
  readonly bytes: number
}

const sessionsMax = 20_000
const marginMin = 64
const marginPart = 4

/**
 * How much this process has added to each history since it was last brought within its bounds, so that whoever adds faster
 * than sweeps come is held to them as well. The sessions that are quiet for longest are not counted where there are too many.
 */
export class HistoryGrowth {
  readonly #eventsMax: number
  readonly #bytesMax: number
  readonly #grown = new Map<string, { readonly events: number; readonly bytes: number }>()

  constructor({ eventsMax, bytesMax }: HistoryBounds) {
    this.#eventsMax = eventsMax + Math.max(marginMin, eventsMax / marginPart)
    this.#bytesMax = bytesMax + bytesMax / marginPart
  }

  /** Whether it would be too much to wait for the next sweep. */
  isTooMuch(added: Added): boolean {
    const { events, bytes } = this.#with(added)
    return events > this.#eventsMax || bytes > this.#bytesMax
  }

  /** This was added. */
  add(added: Added): void {
    const grown = this.#with(added)
    const name = nameOf(added.session)
    // The order of the map is that of the last events.
    this.#grown.delete(name)
    this.#grown.set(name, grown)
    if (this.#grown.size <= sessionsMax) return
    for (const first of this.#grown.keys()) {
      this.#grown.delete(first)
      return
    }
  }

  /** This history is within its bounds again. */
  trimmed(session: Buffer): void {
    this.#grown.delete(nameOf(session))
  }

  /** All are. */
  swept(): void {
    this.#grown.clear()
  }

  #with({ session, events, bytes }: Added) {
    const grown = this.#grown.get(nameOf(session))
    return { events: events + (grown?.events ?? 0), bytes: bytes + (grown?.bytes ?? 0) }
  }
}

function nameOf(session: Buffer): string {
  return session.toString('latin1')
}
