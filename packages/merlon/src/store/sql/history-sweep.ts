import { type SqlBool, sql } from 'kysely'
import type { Instant } from '../../call.ts'
import type { Act } from './acts.ts'
import type { Engine } from './migrations.ts'

/** Events kept for one session, their bytes together, and for how long. */
export interface HistoryBounds {
  readonly eventsMax: number
  readonly historyMs: number
  readonly bytesMax: number
}

const streamsMax = 1_000

/** Deletes the events that are over, by age, by number, and by the bytes of those that are younger; answers how many. */
export async function sweepHistories(act: Act, engine: Engine, bounds: HistoryBounds, now: Instant): Promise<number> {
  const over = sql<{ session: Uint8Array; stream: number; tenant: string; lost: number; count: number }>`
    select session, stream, tenant, max(seq) as lost, count(*) as count from (
      select e.session, e.stream, e.tenant, e.seq, e.at, h.next,
        sum(length(e.sealed)) over (partition by e.session order by e.seq desc) as younger
      from history_events e join histories h on h.session = e.session
    ) events
    where at <= ${now - bounds.historyMs} or seq < next - ${bounds.eventsMax} or younger > ${bounds.bytesMax}
    group by session, stream, tenant`
  const { rows } = await over.execute(act)
  const sessions = [...new Map(rows.map((row) => [Buffer.from(row.session).toString('hex'), row.session])).values()]
  if (engine === 'postgres' && sessions.length > 0) {
    // As a commit does: the row of a history first, and all in one order, so that nobody waits for one that waits for them.
    await act
      .selectFrom('histories')
      .select('session')
      .where(sql<SqlBool>`session = any(${sessions})`)
      .orderBy('session')
      .forNoKeyUpdate()
      .execute()
  }
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
  for (const session of sessions) await boundStreams(act, session)
  return gone
}

/**
 * What is remembered of streams that lost events is bounded: beyond that a place below the floor is not known any more. One
 * that goes on is remembered all the same.
 */
async function boundStreams(act: Act, session: Uint8Array): Promise<void> {
  const oldest = await act
    .selectFrom('history_streams')
    .select('lost')
    .where('session', '=', session)
    .where('lost', '>', 0)
    .where('ended', '=', 1)
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
  await act
    .deleteFrom('history_streams')
    .where('session', '=', session)
    .where('lost', '>', 0)
    .where('lost', '<=', oldest.lost)
    .where('ended', '=', 1)
    .execute()
}
