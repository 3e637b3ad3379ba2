import { sql } from 'kysely'
import { aboutPlace, eventPlace } from './history-store.ts'
import { head, type SealedTable } from './sealed-rows.ts'

interface Event {
  readonly session: Uint8Array
  readonly seq: number
}

/** What was sent over streams. */
export const sealedEvents: SealedTable<Event> = {
  kind: 'events',
  family: 'event',
  page(db, after, limit) {
    const first = db
      .selectFrom('history_events')
      .select(['session', 'seq', 'tenant', head])
      .orderBy('session')
      .orderBy('seq')
      .limit(limit)
    return (
      after === undefined ? first : first.where(sql<boolean>`(session, seq) > (${after.session}, ${after.seq})`)
    ).execute()
  },
  async find(db, { session, seq }) {
    const row = await db
      .selectFrom('history_events as event')
      .innerJoin('histories as history', 'history.session', 'event.session')
      .select(['event.stream', 'event.tenant', 'event.sealed', 'history.salt'])
      .where('event.session', '=', session)
      .where('event.seq', '=', seq)
      .executeTakeFirst()
    return row && { ...row, place: eventPlace(row.tenant, Buffer.from(session), row.stream, seq) }
  },
  async put(act, { session, seq }, before, sealed) {
    const { numUpdatedRows } = await act
      .updateTable('history_events')
      .set({ sealed })
      .where('session', '=', session)
      .where('seq', '=', seq)
      .where('sealed', '=', before)
      .executeTakeFirst()
    return numUpdatedRows
  },
  /** A client that resumes before one of these is told that some are missing. */
  async drop(act, events) {
    let gone = 0
    for (const { session, seq } of events) {
      const event = await act
        .deleteFrom('history_events')
        .where('session', '=', session)
        .where('seq', '=', seq)
        .returning(['stream', 'tenant'])
        .executeTakeFirst()
      if (event === undefined) continue
      gone++
      await act
        .insertInto('history_streams')
        .values({ session, ...event, lost: seq })
        .onConflict((clash) =>
          clash.columns(['session', 'stream']).doUpdateSet({ lost: seq }).where('history_streams.lost', '<', seq),
        )
        .execute()
    }
    return gone
  },
}

interface Stream {
  readonly session: Uint8Array
  readonly stream: number
}

/** What streams answer. */
export const sealedStreams: SealedTable<Stream> = {
  kind: 'streams',
  family: 'event',
  page(db, after, limit) {
    const first = db
      .selectFrom('history_streams')
      .select(['session', 'stream', 'tenant', head])
      .where('sealed', 'is not', null)
      .orderBy('session')
      .orderBy('stream')
      .limit(limit)
    return (
      after === undefined ? first : first.where(sql<boolean>`(session, stream) > (${after.session}, ${after.stream})`)
    ).execute()
  },
  async find(db, { session, stream }) {
    const row = await db
      .selectFrom('history_streams as stream')
      .innerJoin('histories as history', 'history.session', 'stream.session')
      .select(['stream.tenant', 'stream.sealed', 'history.salt'])
      .where('stream.session', '=', session)
      .where('stream.stream', '=', stream)
      .executeTakeFirst()
    if (row === undefined || row.sealed === null) return undefined
    const { tenant, sealed, salt } = row
    return { tenant, sealed, salt, place: eventPlace(tenant, Buffer.from(session), stream, aboutPlace) }
  },
  async put(act, { session, stream }, before, sealed) {
    const { numUpdatedRows } = await act
      .updateTable('history_streams')
      .set({ sealed })
      .where('session', '=', session)
      .where('stream', '=', stream)
      .where('sealed', '=', before)
      .executeTakeFirst()
    return numUpdatedRows
  },
  /** The stream stays; what it answers is known to the server that makes its events alone. */
  async drop(act, streams) {
    let gone = 0
    for (const { session, stream } of streams) {
      const { numUpdatedRows } = await act
        .updateTable('history_streams')
        .set({ sealed: null })
        .where('session', '=', session)
        .where('stream', '=', stream)
        .where('sealed', 'is not', null)
        .executeTakeFirst()
      gone += Number(numUpdatedRows)
    }
    return gone
  },
}
