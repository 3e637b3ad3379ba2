import { type Expression, type ExpressionBuilder, type Kysely, type SqlBool, sql } from 'kysely'
import type { Instant } from '../../call.ts'
import { type Claim, type Claimant, claimAheadMs } from '../../history/history-store.ts'
import type { Act } from './acts.ts'
import type { Engine } from './migrations.ts'
import type { Tables } from './tables.ts'

/** A stream whose first event is being written. */
export interface OpenedStream {
  readonly session: Buffer
  readonly stream: number
  readonly tenant: string
  readonly producer: string
  readonly sealed: Buffer
}

/** A stream that somebody wants to read; `salt` is for a history that begins with this. */
export interface WantedStream {
  readonly session: Buffer
  readonly stream: number
  readonly tenant: string
  readonly salt: Buffer
}

type Held = Extract<Claim, { outcome: 'held' }>
/** As a claim, with what the stream answers still sealed. */
export type SealedClaim =
  | Exclude<Claim, Held>
  | (Omit<Held, 'about'> & { readonly sealed: Uint8Array | null; readonly salt: Uint8Array })

/** What the row of a stream has to be like. */
export type StreamIs = (is: ExpressionBuilder<Tables, 'history_streams'>) => Expression<SqlBool>

interface StreamPlace {
  readonly session: Buffer
  readonly stream: number
}

const rowsMax = 50

/** Its messages are made by this replica, and the last is not there yet. */
export function isMadeBy(producer: string): StreamIs {
  return (is) => is.and([is('producer', '=', producer), is('ended', '=', 0)])
}

/** Whether there is such a stream whose row is as asked for. */
export async function findStream(db: Kysely<Tables>, { session, stream }: StreamPlace, is: StreamIs): Promise<boolean> {
  const rows = db.selectFrom('history_streams').select('stream').where('session', '=', session)
  return (await rows.where('stream', '=', stream).where(is).executeTakeFirst()) !== undefined
}

/**
 * With the end of a stream whoever began it has left it. Who came back for it has a claim of their own, and leaves when they
 * had the end.
 */
export const atEnd = { ended: 1 as const, reader: sql<string | null>`case when claim = 0 then null else reader end` }

/** What changes in the row of a stream to which a message is added. */
export type StreamChange = typeof atEnd | { readonly told: number }

/** Changes the row of a stream that is as asked for: false where it is not. */
export async function changeStream(
  act: Act,
  { session, stream }: StreamPlace,
  is: StreamIs,
  change: StreamChange,
): Promise<boolean> {
  const rows = act.updateTable('history_streams').set(change).where('session', '=', session)
  const { numUpdatedRows } = await rows.where('stream', '=', stream).where(is).executeTakeFirstOrThrow()
  return numUpdatedRows > 0n
}

/** Who began a stream reads it, until its replica says that they left. */
export async function openStreams(act: Act, streams: readonly OpenedStream[]): Promise<void> {
  for (let from = 0; from < streams.length; from += rowsMax) {
    const rows = streams.slice(from, from + rowsMax)
    await act
      .insertInto('history_streams')
      .values(rows.map((row) => ({ ...row, lost: 0, ended: 0 as const, reader: row.producer })))
      .execute()
  }
}

/** Ends streams whose last event is being written. */
export async function endStreams(
  act: Act,
  streams: readonly { readonly session: Buffer; readonly stream: number }[],
): Promise<void> {
  for (let from = 0; from < streams.length; from += rowsMax) {
    const some = streams.slice(from, from + rowsMax)
    await act
      .updateTable('history_streams')
      .set(atEnd)
      .where((row) => row.or(some.map((place) => row.and(place))))
      .execute()
  }
}

/** Gives up this claim of a stream, or that of this replica. */
export async function leaveStream(
  act: Act,
  { session, stream }: StreamPlace,
  claim: number | { readonly of: string },
  readMs: number,
): Promise<void> {
  await act
    .updateTable('history_streams')
    .set(({ eb }) => ({ reader: null, claimed_at: eb('claimed_at', '+', readMs) }))
    .where('session', '=', session)
    .where('stream', '=', stream)
    .where((is) =>
      typeof claim === 'number' ? is('claim', '=', claim) : is.and([is('reader', '=', claim.of), is('claim', '>', 0)]),
    )
    // Once: whoever is not sure that they left leaves again.
    .where('reader', 'is not', null)
    .execute()
}

/** Takes a stream for a reader, or says why not. On PostgreSQL the time is its own: replicas may differ in theirs. */
export async function claimStream(
  act: Act,
  engine: Engine,
  { session, stream, tenant, salt }: WantedStream,
  seq: number | undefined,
  { reader, over, waitedMs }: Claimant,
  now: Instant,
): Promise<SealedClaim> {
  if (stream === 0) {
    await act
      .insertInto('histories')
      .values({ session, tenant, salt, next: 1, floor: 0 })
      .onConflict((clash) => clash.doNothing())
      .execute()
    await act
      .insertInto('history_streams')
      .values({
        ...{ session, stream, tenant, lost: 0, ended: 0 },
        // What was announced before it was first opened is no news.
        told: act.selectFrom('mail_revision').select('value').where('id', '=', 1),
      })
      .onConflict((clash) => clash.columns(['session', 'stream']).doUpdateSet({ ended: 0 }))
      .execute()
  }
  const history = await act
    .selectFrom('histories')
    .select(['next', 'salt'])
    .where('session', '=', session)
    .where('tenant', '=', tenant)
    .executeTakeFirst()
  if (history === undefined || (seq ?? 0) >= history.next) return { outcome: 'unknown' }
  const time =
    engine === 'postgres' ? sql<number>`(extract(epoch from clock_timestamp()) * 1000)::bigint` : sql<number>`${now}`
  const racing = sql<SqlBool>`(claimed_at > ${time} - ${waitedMs} and claimed_at <= ${time} + ${claimAheadMs})`
  const held = await act
    .updateTable('history_streams')
    .set({ reader, claim: sql`claim + 1`, claimed_at: time, ...(seq === undefined ? {} : { resumed: seq }) })
    .where('session', '=', session)
    .where('stream', '=', stream)
    .where((is) => is.not(racing))
    .where((is) =>
      is.or([is('reader', 'is', null), is('reader', 'in', over === undefined ? [reader] : [reader, over])]),
    )
    // Of which it is not known what it answers, nobody can decide who may have it.
    .$if(stream !== 0, (update) => update.where('sealed', 'is not', null))
    .$if(seq !== undefined, (update) => update.where('resumed', '<=', seq!))
    .returning(['claim', 'producer', 'ended', 'sealed', 'told'])
    .executeTakeFirst()
  if (held !== undefined) {
    const { claim, producer, ended, sealed, told } = held
    return {
      outcome: 'held',
      claim,
      position: seq ?? history.next - 1,
      producer: producer ?? undefined,
      ended: ended === 1,
      told,
      sealed,
      salt: history.salt,
    }
  }
  const found = await act
    .selectFrom('history_streams')
    .select(['reader', 'claim', 'resumed', 'sealed', racing.as('racing')])
    .where('session', '=', session)
    .where('stream', '=', stream)
    .executeTakeFirst()
  if (found === undefined || (stream !== 0 && found.sealed === null)) return { outcome: 'unknown' }
  if (seq !== undefined && found.resumed > seq) return { outcome: 'moved-on' }
  return { outcome: 'taken', by: found.reader ?? undefined, claim: found.claim, racing: Boolean(found.racing) }
}
