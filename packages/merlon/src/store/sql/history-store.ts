import { CompiledQuery, sql } from 'kysely'
import type { Instant, RandomBytes } from '../../call.ts'
import { Fault } from '../../errors.ts'
import type { HistoryEvent, HistoryOwner, HistoryStore } from '../../history/history-store.ts'
import { everyTenant } from '../../identity/reach.ts'
import { type DataKeys, familyKey } from '../../sealing/data-keys.ts'
import { keyIdOf, openRecord, type Place, type RecordKey, sealRecord } from '../../sealing/record.ts'
import { reaching, type SqlDatabase } from './database.ts'
import { actLightly, actWithin, readWithin } from './row-security.ts'

export interface HistoryParts {
  readonly database: SqlDatabase
  readonly keys: DataKeys
  /** A keyed digest of 32 bytes: the id itself is nowhere in the tables. */
  readonly digest: (session: string) => Buffer
  readonly random: RandomBytes
  /** Events kept for one session, their bytes together, and for how long. */
  readonly bounds: { readonly eventsMax: number; readonly historyMs: number; readonly bytesMax: number }
  /** Told of a record that does not open: somebody has written to the tables, or a key is gone. */
  readonly onUnreadable: (what: { readonly tenant: string; readonly key: string | undefined }) => void
}

/** An event on its way into the tables. */
interface Waiting {
  readonly owner: HistoryOwner
  readonly stream: number
  readonly plain: Buffer
  readonly at: Instant
  readonly kept: (seq: number) => void
  readonly failed: (cause: unknown) => void
}

/** The events of one session in one commit. */
interface Part {
  readonly owner: HistoryOwner
  readonly session: Buffer
  readonly key: RecordKey
  readonly events: Waiting[]
}

const commitMax = 500
const rowsMax = 50
const columns = 6
const familiesMax = 1_000
const waitingBytesMax = 33_554_432
const saltBytes = 16
const streamsMax = 1_000

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
  #waiting: Waiting[] = []
  #waitingBytes = 0
  #committing: Promise<void> | undefined

  constructor(parts: HistoryParts) {
    this.#parts = parts
    // `next` of the row that is offered is one more than the number of events.
    this.#upsert = `insert into histories (session, tenant, salt, next, floor) values (${this.#marks(0, 4)}, 0)
      on conflict (session) do update set next = histories.next + excluded.next - 1 returning next, salt`
  }

  append(owner: HistoryOwner, stream: number, message: string, now: Instant): Promise<number> {
    const plain = Buffer.from(message)
    if (this.#waitingBytes > waitingBytesMax) {
      return Promise.reject(new Fault('store.unavailable', { reason: 'history-behind' }))
    }
    this.#waitingBytes += plain.length
    return new Promise((kept, failed) => {
      this.#waiting.push({ owner, stream, plain, at: now, kept, failed })
      this.#committing ??= this.#commitAll()
    })
  }

  async after(
    owner: HistoryOwner,
    stream: number,
    seq: number,
    now: Instant,
  ): Promise<readonly HistoryEvent[] | undefined> {
    const { database, bounds } = this.#parts
    const session = this.#parts.digest(owner.id)
    const found = await reaching(() =>
      readWithin(database, owner.tenant, async (db) => {
        const history = await db
          .selectFrom('histories')
          .select(['salt', 'next', 'floor'])
          .where('session', '=', session)
          .where('tenant', '=', owner.tenant)
          .executeTakeFirst()
        if (history === undefined) return undefined
        const { lost } = (await db
          .selectFrom('history_streams')
          .select('lost')
          .where('session', '=', session)
          .where('stream', '=', stream)
          .executeTakeFirst()) ?? { lost: 0 }
        const events = await db
          .selectFrom('history_events')
          .select(['seq', 'at', 'sealed'])
          .where('session', '=', session)
          .where('stream', '=', stream)
          .where('seq', '>', seq)
          .orderBy('seq')
          .execute()
        return { history, lost, events }
      }),
    )
    if (found === undefined) return seq === 0 ? [] : undefined
    const { history, lost, events } = found
    if (seq >= history.next || seq < history.floor || seq < lost) return undefined
    const keptFrom = history.next - bounds.eventsMax
    if (events.some((event) => event.seq < keptFrom || event.at + bounds.historyMs <= now)) return undefined
    return this.#open(owner, session, Buffer.from(history.salt), stream, events)
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
    return reaching(() =>
      actLightly(database, async (act) => {
        // Which events are over, by age, by number, and by the bytes of those that are younger.
        const over = sql<{ session: Uint8Array; stream: number; tenant: string; lost: number; count: number }>`
          select session, stream, tenant, max(seq) as lost, count(*) as count from (
            select e.session, e.stream, e.tenant, e.seq, e.at, h.next,
              sum(length(e.sealed)) over (partition by e.session order by e.seq desc) as younger
            from history_events e join histories h on h.session = e.session
          ) events
          where at <= ${now - bounds.historyMs} or seq < next - ${bounds.eventsMax} or younger > ${bounds.bytesMax}
          group by session, stream, tenant`
        const { rows } = await over.execute(act)
        let gone = 0
        for (const { session, stream, tenant, lost, count } of rows) {
          gone += count
          await act
            .insertInto('history_streams')
            .values({ session, stream, tenant, lost })
            .onConflict((clash) => clash.columns(['session', 'stream']).doUpdateSet({ lost }))
            .execute()
          await act
            .deleteFrom('history_events')
            .where('session', '=', session)
            .where('stream', '=', stream)
            .where('seq', '<=', lost)
            .execute()
        }
        for (const session of new Map(
          rows.map((row) => [Buffer.from(row.session).toString('hex'), row.session]),
        ).values())
          await boundStreams(act, session)
        return gone
      }),
    )
  }

  async #commitAll(): Promise<void> {
    // What comes in the same turn goes together.
    await Promise.resolve()
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, commitMax)
      try {
        const seqs = await this.#commit(batch)
        for (const [at, event] of batch.entries()) event.kept(seqs[at]!)
      } catch (cause) {
        for (const event of batch) event.failed(cause)
      }
      for (const { plain } of batch) this.#waitingBytes -= plain.length
    }
    this.#committing = undefined
  }

  /** Writes the events as one act; answers their places in the order given. */
  async #commit(batch: readonly Waiting[]): Promise<readonly number[]> {
    const { database, keys, digest } = this.#parts
    const parts = new Map<string, Part>()
    // Before the act: a key may have to be made, and that is an act of its own.
    for (const event of batch) {
      const { id, tenant } = event.owner
      const part = parts.get(id)
      if (part !== undefined) part.events.push(event)
      else {
        const key = await keys.sealing(tenant, 'event')
        parts.set(id, { owner: event.owner, session: digest(id), key, events: [event] })
      }
    }
    const places = new Map<Waiting, number>()
    await reaching(() =>
      actLightly(database, async (act) => {
        const rows: unknown[][] = []
        for (const part of parts.values()) {
          const { salt, first } = await this.#takePlaces(act, part)
          const key = this.#family(part.key, salt)
          const { tenant } = part.owner
          for (const [at, event] of part.events.entries()) {
            const { stream, plain } = event
            const seq = first + at
            const sealed = sealRecord(key, placeOf(tenant, part.session, stream, seq), plain, this.#parts.random)
            places.set(event, seq)
            rows.push([part.session, seq, stream, tenant, event.at, sealed])
          }
        }
        for (let from = 0; from < rows.length; from += rowsMax) {
          const some = rows.slice(from, from + rowsMax)
          await act.executeQuery(CompiledQuery.raw(this.#insertOf(some.length), some.flat()))
        }
      }),
    )
    return batch.map((event) => places.get(event)!)
  }

  /** The next places of a session, as many as it has events, and the salt of its history, made with the first of them. */
  async #takePlaces(act: Act, { owner, session, events }: Part): Promise<{ salt: Buffer; first: number }> {
    const count = events.length
    const { rows } = await act.executeQuery<{ next: number; salt: Uint8Array }>(
      CompiledQuery.raw(this.#upsert, [session, owner.tenant, this.#parts.random(saltBytes), count + 1]),
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
      const place = placeOf(owner.tenant, session, stream, row.seq)
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

type Act = Parameters<Parameters<typeof actWithin>[2]>[0]

function placeOf(tenant: string, session: Buffer, stream: number, sequence: number): Place {
  return { tenant, type: 'event', record: `${session.toString('hex')}/${stream}`, sequence }
}

/** What is remembered of streams that lost events is bounded: beyond that a place below the floor is not known any more. */
async function boundStreams(act: Act, session: Uint8Array): Promise<void> {
  const oldest = await act
    .selectFrom('history_streams')
    .select('lost')
    .where('session', '=', session)
    .orderBy('lost', 'desc')
    .offset(streamsMax)
    .limit(1)
    .executeTakeFirst()
  if (oldest === undefined) return
  await act
    .updateTable('histories')
    .set({ floor: oldest.lost })
    .where('session', '=', session)
    .where('floor', '<', oldest.lost)
    .execute()
  await act.deleteFrom('history_streams').where('session', '=', session).where('lost', '<=', oldest.lost).execute()
}
