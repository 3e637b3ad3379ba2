import type { Instant } from '../../call.ts'
import type { Session } from '../../session/session-store.ts'
import { hexOf } from './session-row.ts'

/** A session that was used here lately. */
export interface Remembered {
  readonly digest: Buffer
  readonly session: Session
  /** The state of its row that this is. */
  readonly state: number
  usedAt: Instant
  /** The use that the tables know of. */
  notedAt: Instant
}

interface Seen {
  readonly id: string
  readonly state: number
}

/** What one process remembers of sessions, so that a call asks no table, and so that a row that goes back is noticed. */
export class RememberedSessions {
  readonly #max: number
  readonly #known = new Map<string, Remembered>()
  /** Of each that is not over, by digest. */
  readonly #seen = new Map<string, Seen>()
  /** The digests of those that were over lately. */
  readonly #gone = new Set<string>()
  readonly #listeners: ((id: string) => void)[] = []
  /** Those used since it was last written down. */
  readonly #unnoted = new Set<Remembered>()
  #ends = 0

  constructor(max: number) {
    this.#max = max
  }

  /** Moves with every end, so that a look that began before it does not remember what is over. */
  get ends(): number {
    return this.#ends
  }

  find(id: string): Remembered | undefined {
    return this.#known.get(id)
  }

  put(entry: Remembered): void {
    this.#known.set(entry.session.id, entry)
    this.sawState(entry.session.id, entry.digest, entry.state)
    // The one that was looked up longest ago.
    if (this.#known.size > this.#max) dropFirst(this.#known)
  }

  use(known: Remembered, now: Instant): void {
    if (now <= known.usedAt) return
    known.usedAt = now
    this.#unnoted.add(known)
  }

  /** Those whose last use is `lagMs` later than what is written. */
  unnoted(lagMs: number): readonly Remembered[] {
    return [...this.#unnoted].filter(({ usedAt, notedAt }) => usedAt - notedAt >= lagMs)
  }

  /** Takes those whose use is about to be written, in one order: nobody who writes to many waits for one that waits for this. */
  takeUnnoted(uses: readonly Remembered[]): readonly { readonly known: Remembered; readonly at: Instant }[] {
    const taken = uses.filter((known) => this.#unnoted.delete(known)).map((known) => ({ known, at: known.usedAt }))
    return taken.sort((one, other) => Buffer.compare(one.known.digest, other.known.digest))
  }

  /** They could not be written: they still have to be. */
  putBackUnnoted(noting: readonly { readonly known: Remembered }[]): void {
    for (const { known } of noting) this.#unnoted.add(known)
  }

  /** The state that its row has reached, as far as is known here: one that is behind it was put back. None is, once it is over. */
  floorOf(digest: Uint8Array): number {
    const name = hexOf(digest)
    return this.#gone.has(name) ? Number.POSITIVE_INFINITY : (this.#seen.get(name)?.state ?? 0)
  }

  sawState(id: string, digest: Uint8Array, state: number): void {
    const name = hexOf(digest)
    if (state > (this.#seen.get(name)?.state ?? -1)) this.#seen.set(name, { id, state })
  }

  /** It is not as it was. */
  forget(digest: Uint8Array): void {
    const seen = this.#seen.get(hexOf(digest))
    if (seen !== undefined) this.#known.delete(seen.id)
  }

  /** Each that is not over, as far as is known here, by its digest. */
  seen(): readonly Buffer[] {
    return [...this.#seen.keys()].map((name) => Buffer.from(name, 'hex'))
  }

  /** Any may have changed or ended unheard, also those that are being looked at. */
  doubtAll(): void {
    this.#ends++
    this.#known.clear()
  }

  /** The tables are those of another time. */
  forgetAll(): void {
    this.doubtAll()
    this.#gone.clear()
    for (const [name, { id }] of this.#seen) this.#seen.set(name, { id, state: 0 })
  }

  /** It is over: tells the listeners of it, once. */
  over(digest: Uint8Array): void {
    this.#ends++
    const name = hexOf(digest)
    this.#gone.add(name)
    if (this.#gone.size > this.#max) dropFirst(this.#gone)
    const seen = this.#seen.get(name)
    if (seen === undefined) return
    this.#seen.delete(name)
    const known = this.#known.get(seen.id)
    if (known !== undefined) this.#unnoted.delete(known)
    this.#known.delete(seen.id)
    for (const listener of this.#listeners) listener(seen.id)
  }

  onOver(listener: (id: string) => void): void {
    this.#listeners.push(listener)
  }
}

function dropFirst(from: { keys(): Iterable<string>; delete(key: string): boolean }): void {
  for (const first of from.keys()) {
    from.delete(first)
    return
  }
}
