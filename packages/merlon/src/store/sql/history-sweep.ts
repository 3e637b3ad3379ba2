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

/** A history with events that are over: all up to `cut` are, by number or by the bytes of those that are younger. */
interface Over {
  readonly session: Uint8Array
  readonly cut: number
}

const streamsMax = 1_000

/** Deletes the events that are over, by age, by number, and by the bytes of those that are younger; answers how many. */
export async function sweepHistories(act: Act, engine: Engine, bounds: HistoryBounds, now: Instant): Promise<number> {
  const found = await over(act, bounds, now)
  const mine = engine === 'postgres' ? await held(act, found) : found
  let gone = 0
  for (const each of mine) gone += await forget(act, each, now - bounds.historyMs)
  return gone
}

/** The same for one session. Its row in `histories` is the caller's already, where there are other writers. */
export async function trimHistory(act: Act, bounds: HistoryBounds, session: Uint8Array, now: Instant): Promise<number> {
  const [found] = await over(act, bounds, now, session)
  return found === undefined ? 0 : forget(act, found, now - bounds.historyMs)
}

async function over(act: Act, bounds: HistoryBounds, now: Instant, session?: Uint8Array): Promise<readonly Over[]> {
  const { rows } = await sql<Over>`
    select session, max(case when fits = 1 then 0 else seq end) as cut from (
      select session, seq, at,
        case when seq >= next - ${bounds.eventsMax} and younger <= ${bounds.bytesMax} then 1 else 0 end as fits
      from (
        select e.session, e.seq, e.at, h.next,
          sum(length(e.sealed)) over (partition by e.session order by e.seq desc) as younger
        from history_events e join histories h on h.session = e.session
        ${session === undefined ? sql`` : sql`where e.session = ${session}`}
      ) measured
    ) events
    where fits = 0 or at <= ${now - bounds.historyMs}
    group by session`.execute(act)
  return rows
}

/**
 * Takes their rows as a commit does, before anything of theirs and all in one order, so that nobody waits for one that waits
 * for them. Those that somebody deleted meanwhile are left out.
 */
async function held(act: Act, found: readonly Over[]): Promise<readonly Over[]> {
  if (found.length === 0) return []
  const rows = await act
    .selectFrom('histories')
    .select('session')
    .where(sql<SqlBool>`session = any(${found.map(({ session }) => session)})`)
    .orderBy('session')
    .forNoKeyUpdate()
    .execute()
  const cuts = new Map(found.map(({ session, cut }) => [Buffer.from(session).toString('hex'), cut]))
  return rows.map(({ session }) => ({ session, cut: cuts.get(Buffer.from(session).toString('hex'))! }))
}

/** What was found may be gone by now, and more with it: what a stream has lost only grows. */
async function forget(act: Act, { session, cut }: Over, before: Instant): Promise<number> {
  await sql`
    insert into history_streams (session, stream, tenant, lost)
    select session, stream, tenant, max(seq) from history_events
    where session = ${session} and (seq <= ${cut} or at <= ${before})
    group by session, stream, tenant
    on conflict (session, stream) do update set lost = excluded.lost where history_streams.lost < excluded.lost`.execute(
    act,
  )
  const { numAffectedRows } = await sql`
    delete from history_events
    where session = ${session} and seq <= (
      select lost from history_streams s where s.session = history_events.session and s.stream = history_events.stream
    )`.execute(act)
  await boundStreams(act, session)
  return Number(numAffectedRows ?? 0n)
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
