import { CompiledQuery } from 'kysely'
import type { Instant, RandomBytes } from '../../call.ts'
import { Fault } from '../../errors.ts'
import type {
  Claim,
  Claimant,
  HistoryEvent,
  HistoryOwner,
  HistoryStore,
  Mark,
  Missed,
} from '../../history/history-store.ts'
import { everyTenant } from '../../identity/reach.ts'
import { type DataKeys, familyKey } from '../../sealing/data-keys.ts'
import { keyIdOf, openRecord, type Place, type RecordKey, sealRecord } from '../../sealing/record.ts'
import type { Act } from './acts.ts'
import { reaching, type SqlDatabase } from './database.ts'
import { type Part, partsOf, type Waiting } from './history-batch.ts'
import { type Added, HistoryGrowth } from './history-growth.ts'
import { findMissed } from './history-missed.ts'
import {
  atEnd,
  changeStream,
  claimStream,
  endStreams,
  findStream,
  isMadeBy,
  leaveStream,
  type OpenedStream,
  openStreams,
  type StreamChange,
  type StreamIs,
} from './history-streams.ts'
import { type HistoryBounds, sweepHistories, trimHistory } from './history-sweep.ts'
import { repeatOnce } from './repeat-act.ts'
import { actLightly, actWithin, readWithin } from './row-security.ts'

export interface HistoryParts {
  readonly database: SqlDatabase
  readonly keys: DataKeys
  /** A keyed digest of 32 bytes: the id itself is nowhere in the tables. */
  readonly digest: (session: string) => Buffer
  readonly random: RandomBytes
  readonly bounds: HistoryBounds
  /** Told of a record that does not open: somebody has written to the tables, or a key is gone. */
  readonly onUnreadable: (what: { readonly tenant: string; readonly key: string | undefined }) => void
  /**
   * Where there are other replicas: `fence` refuses, within a transaction, what this one would write after they gave it up.
   */
  readonly writer?:
    | {
        readonly replicas: { readonly self: string }
        readonly fence: (act: Act, writer: string) => Promise<void>
      }
    | undefined
}

const commitMax = 500
const rowsMax = 50
const columns = 6
const familiesMax = 1_000
const waitingBytesMax = 33_554_432
/** Where in a stream what it answers is sealed: no event has this place. */
export const aboutPlace = 0
const saltBytes = 16

/**
 * Event history in SQLite or PostgreSQL, sealed. What is appended while a commit is under way goes into the next one
 * together, and each append is acknowledged after its commit. Events that do not open are as good as lost: a resume over
 * them is told that some are missing, and `onUnreadable` hears of it.
 */
export class SqlHistoryStore implements HistoryStore {
  readonly #parts: HistoryParts
  readonly #families = new Map<string, RecordKey>()
  readonly #inserts = new Map<number, string>()
  readonly #upsert: string
  readonly #growth: HistoryGrowth
  #waiting: Waiting[] = []
  #waitingBytes = 0
  #committing: Promise<void> | undefined

  constructor(parts: HistoryParts) {
    this.#parts = parts
    this.#growth = new HistoryGrowth(parts.bounds)
    parts.keys.onForgotten(() => this.#families.clear())
    // `next` of the row that is offered is one more than the number of events.
    this.#upsert = `insert into histories (session, tenant, salt, next, floor) values (${this.#marks(0, 4)}, 0)
      on conflict (session) do update set next = histories.next + excluded.next - 1 returning next, salt`
  }

  append(owner: HistoryOwner, stream: number, message: string, now: Instant, mark?: Mark): Promise<number> {
    const plain = Buffer.from(message)
    if (this.#waitingBytes > waitingBytesMax) {
      return Promise.reject(new Fault('store.unavailable', { reason: 'history-behind' }))
    }
    this.#waitingBytes += plain.length
    return new Promise((kept, failed) => {
      const writer = this.#parts.writer?.replicas.self
      this.#waiting.push({ owner, stream, plain, at: now, mark, writer, kept, failed })
      this.#committing ??= this.#commitAll()
    })
  }

  async after(owner: HistoryOwner, stream: number, seq: number, now: Instant): Promise<Missed | undefined> {
    const { database, bounds } = this.#parts
    const session = this.#parts.digest(owner.id)
    const place = { session, tenant: owner.tenant, stream }
    const missed = await reaching(() =>
      readWithin(database, owner.tenant, (db) => findMissed(db, bounds, place, seq, now)),
    )
    if (missed === undefined) return undefined
    const { state, salt, events: sealed } = missed
    const events = salt === undefined ? [] : await this.#open(owner, session, salt, stream, sealed)
    return events && { ...state, events }
  }

  async claim(
    owner: HistoryOwner,
    stream: number,
    seq: number | undefined,
    claimant: Claimant,
    now: Instant,
  ): Promise<Claim> {
    const { database, digest, random } = this.#parts
    const session = digest(owner.id)
    const wanted = { session, tenant: owner.tenant, stream, salt: random(saltBytes) }
    const claimed = await reaching(() =>
      actWithin(database, owner.tenant, (act) => claimStream(act, database.engine, wanted, seq, claimant, now)),
    )
    if (claimed.outcome !== 'held') return claimed
    const { sealed, salt: kept, ...held } = claimed
    if (sealed === null) return { ...held, about: undefined }
    const opening = this.#open(owner, session, Buffer.from(kept), stream, [{ seq: aboutPlace, sealed }])
    const about = await opening.catch(async (thrown) => {
      // Whoever asked does not learn that they hold it.
      await this.leave(owner, stream, held.claim).catch(() => undefined)
      throw thrown
    })
    if (about !== undefined) return { ...held, about: about[0]!.message }
    await this.leave(owner, stream, held.claim)
    return { outcome: 'unknown' }
  }

  async leave(owner: HistoryOwner, stream: number, claim: number | { readonly of: string }, readMs = 0): Promise<void> {
    const { database, digest } = this.#parts
    const place = { session: digest(owner.id), stream }
    await reaching(() => actWithin(database, owner.tenant, (act) => leaveStream(act, place, claim, readMs)))
  }

  close(owner: HistoryOwner, stream: number, producer: string, message: string, now: Instant): Promise<boolean> {
    return this.#addOnce(owner, stream, message, now, isMadeBy(producer), atEnd)
  }

  tell(owner: HistoryOwner, message: string, revision: number, now: Instant): Promise<boolean> {
    return this.#addOnce(owner, 0, message, now, (is) => is('told', '<', revision), { told: revision })
  }

  isOpen({ id, tenant }: HistoryOwner): Promise<boolean> {
    const { database, digest } = this.#parts
    const own = { session: digest(id), stream: 0 }
    return reaching(() => readWithin(database, tenant, (db) => findStream(db, own, (is) => is('claim', '>', 0))))
  }

  async drop(session: string): Promise<void> {
    const digest = this.#parts.digest(session)
    await reaching(() =>
      actWithin(this.#parts.database, everyTenant, (act) =>
        act.deleteFrom('histories').where('session', '=', digest).execute(),
      ),
    )
  }

  async sweep(now: Instant): Promise<number> {
    const { database, bounds } = this.#parts
    const gone = await reaching(() => actLightly(database, (act) => sweepHistories(act, database.engine, bounds, now)))
    this.#growth.swept()
    return gone
  }

  /** Resolves when all that was appended so far is kept or refused. */
  async settle(): Promise<void> {
    await this.#committing
  }

  /** Adds a message to a stream whose row is as asked for, and changes that row so that it is so no longer: true where this did. */
  async #addOnce(
    { id, tenant }: HistoryOwner,
    stream: number,
    message: string,
    now: Instant,
    which: StreamIs,
    change: StreamChange,
  ): Promise<boolean> {
    const { database, keys, digest, random } = this.#parts
    const session = digest(id)
    const key = await keys.sealing(tenant, 'event')
    return reaching(() =>
      actWithin(database, tenant, async (act) => {
        if (!(await findStream(act, { session, stream }, which))) return false
        // The row of the history is taken first, as in a commit, so that neither waits for the other.
        const { salt, first: seq } = await this.#takePlaces(act, session, tenant, 1)
        // Somebody else may have done it meanwhile. The place that was taken stays empty.
        if (!(await changeStream(act, { session, stream }, which, change))) return false
        const place = eventPlace(tenant, session, stream, seq)
        const sealed = sealRecord(this.#family(key, salt), place, Buffer.from(message), random)
        await act.insertInto('history_events').values({ session, seq, stream, tenant, at: now, sealed }).execute()
        return true
      }),
    )
  }

  async #commitAll(): Promise<void> {
    // What comes in the same turn goes together.
    await Promise.resolve()
    while (this.#waiting.length > 0) {
      const batch = this.#current(this.#waiting.splice(0, commitMax))
      try {
        // Before the act: a key may have to be made, and that is an act of its own.
        const parts = await partsOf(batch, this.#parts.keys, this.#parts.digest)
        if (parts.length > 0) for (const [event, seq] of await this.#commit(parts)) event.kept(seq)
      } catch (cause) {
        for (const event of batch) event.failed(cause)
      }
      for (const { plain } of batch) this.#waitingBytes -= plain.length
    }
    this.#committing = undefined
  }

  /** What was asked for under a name that this replica has lost since is refused: its streams may have been closed for it. */
  #current(events: readonly Waiting[]): readonly Waiting[] {
    const self = this.#parts.writer?.replicas.self
    return events.filter((event) => {
      if (event.writer === self) return true
      this.#waitingBytes -= event.plain.length
      event.failed(new Fault('store.unavailable', { reason: 'replica-dead' }))
      return false
    })
  }

  /** Writes the events as one act; answers their places. */
  async #commit(parts: readonly Part[]): Promise<ReadonlyMap<Waiting, number>> {
    const { database, writer } = this.#parts
    // Other replicas write to the same sessions: all take them in one order, so that none waits for one that waits for it.
    const ordered = [...parts]
    if (writer !== undefined) ordered.sort((one, other) => Buffer.compare(one.session, other.session))
    const { places, added, trimmed } = await reaching(() =>
      repeatOnce(() => actLightly(database, (act) => this.#write(act, ordered))),
    )
    for (const each of added) this.#growth.add(each)
    for (const session of trimmed) this.#growth.trimmed(session)
    return places
  }

  async #write(act: Act, parts: readonly Part[]) {
    const { random, writer, bounds } = this.#parts
    if (writer !== undefined) await writer.fence(act, parts[0]!.events[0]!.writer!)
    const places = new Map<Waiting, number>()
    const added: Added[] = []
    const rows: unknown[][] = []
    const opened: OpenedStream[] = []
    const ended: { session: Buffer; stream: number }[] = []
    for (const { owner, session, key: dataKey, events } of parts) {
      const { tenant } = owner
      const { salt, first } = await this.#takePlaces(act, session, tenant, events.length)
      const key = this.#family(dataKey, salt)
      let bytes = 0
      for (const [at, event] of events.entries()) {
        const { stream, plain, mark } = event
        const seq = first + at
        const sealed = sealRecord(key, eventPlace(tenant, session, stream, seq), plain, random)
        places.set(event, seq)
        bytes += sealed.length
        rows.push([session, seq, stream, tenant, event.at, sealed])
        if (mark?.opens !== undefined) {
          const { producer, about } = mark.opens
          const place = eventPlace(tenant, session, stream, aboutPlace)
          const sealed = sealRecord(key, place, Buffer.from(about), random)
          opened.push({ session, stream, tenant, producer, sealed })
        }
        if (mark?.ends) ended.push({ session, stream })
      }
      added.push({ session, events: events.length, bytes })
    }
    if (opened.length > 0) await openStreams(act, opened)
    if (ended.length > 0) await endStreams(act, ended)
    for (let from = 0; from < rows.length; from += rowsMax) {
      const some = rows.slice(from, from + rowsMax)
      await act.executeQuery(CompiledQuery.raw(this.#insertOf(some.length), some.flat()))
    }
    const trimmed: Buffer[] = []
    for (const [at, each] of added.entries()) {
      if (!this.#growth.isTooMuch(each)) continue
      await trimHistory(act, bounds, each.session, parts[at]!.events.at(-1)!.at)
      trimmed.push(each.session)
    }
    return { places, added, trimmed }
  }

  /** The next `count` places of a session, and the salt of its history, made with the first of them. */
  async #takePlaces(
    act: Act,
    session: Buffer,
    tenant: string,
    count: number,
  ): Promise<{ salt: Buffer; first: number }> {
    const { rows } = await act.executeQuery<{ next: number; salt: Uint8Array }>(
      CompiledQuery.raw(this.#upsert, [session, tenant, this.#parts.random(saltBytes), count + 1]),
    )
    const [{ next, salt }] = rows as [{ next: number; salt: Uint8Array }]
    return { salt: Buffer.from(salt), first: next - count }
  }

  /** The key of a history; those of the last ones are remembered. */
  #family(key: RecordKey, salt: Buffer): RecordKey {
    const name = `${key.id}${salt.toString('latin1')}`
    let family = this.#families.get(name)
    if (family === undefined) {
      family = familyKey(key, salt, 'event')
      if (this.#families.size >= familiesMax) this.#families.clear()
      this.#families.set(name, family)
    }
    return family
  }

  /** The statement that inserts so many events. */
  #insertOf(count: number): string {
    let text = this.#inserts.get(count)
    if (text === undefined) {
      const rows = Array.from({ length: count }, (_, row) => `(${this.#marks(row * columns, columns)})`)
      text = `insert into history_events (session, seq, stream, tenant, at, sealed) values ${rows.join(', ')}`
      this.#inserts.set(count, text)
    }
    return text
  }

  #marks(from: number, count: number): string {
    const named = this.#parts.database.engine === 'postgres'
    return Array.from({ length: count }, (_, at) => (named ? `$${from + at + 1}` : '?')).join(', ')
  }

  async #open(
    owner: HistoryOwner,
    session: Buffer,
    salt: Buffer,
    stream: number,
    rows: readonly { readonly seq: number; readonly sealed: Uint8Array }[],
  ): Promise<readonly HistoryEvent[] | undefined> {
    const events: HistoryEvent[] = []
    for (const row of rows) {
      const sealed = Buffer.from(row.sealed)
      const id = keyIdOf(sealed)
      const data = id === undefined ? undefined : await this.#parts.keys.opening(id, owner.tenant, 'event')
      const place = eventPlace(owner.tenant, session, stream, row.seq)
      const plain = data && openRecord(this.#family(data, salt), place, sealed)
      if (plain === undefined) {
        this.#parts.onUnreadable({ tenant: owner.tenant, key: id })
        return undefined
      }
      events.push({ stream, seq: row.seq, message: plain.toString('utf8') })
    }
    return events
  }
}

export function eventPlace(tenant: string, session: Buffer, stream: number, sequence: number): Place {
  return { tenant, type: 'event', record: `${session.toString('hex')}/${stream}`, sequence }
}
