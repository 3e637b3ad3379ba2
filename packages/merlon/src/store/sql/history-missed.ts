import { type Kysely, sql } from 'kysely'
import type { Instant } from '../../call.ts'
import type { StreamState } from '../../history/history-store.ts'
import type { HistoryBounds } from './history-sweep.ts'
import type { Tables } from './tables.ts'

/** What came after a place, still sealed. Where nothing was kept of the session yet there is no salt, and there are no events. */
export interface SealedMissed {
  readonly state: StreamState
  readonly salt: Buffer | undefined
  readonly events: readonly { readonly seq: number; readonly sealed: Uint8Array }[]
}

interface Row {
  readonly salt: Uint8Array
  readonly next: number
  readonly floor: number
  readonly fits: number
  readonly lost: number | null
  readonly producer: string | null
  readonly ended: number | null
  readonly seq: number | null
  readonly at: number | null
  readonly sealed: Uint8Array | null
}

/**
 * What came after `seq` on a stream; undefined where some of it is lost, or over and not yet swept. No event is fetched where
 * they are too many or too large: from the first that was missed on, what the session holds has to be within its bounds.
 */
export async function findMissed(
  db: Kysely<Tables>,
  bounds: HistoryBounds,
  place: { readonly session: Buffer; readonly tenant: string; readonly stream: number },
  seq: number,
  now: Instant,
): Promise<SealedMissed | undefined> {
  const { session, tenant, stream } = place
  // In one statement, so that all of it is true of one moment: what is swept meanwhile is not a silent gap, and what came
  // last is there where the stream is said to have ended. Without a first there is nothing to fetch.
  const { rows } = await sql<Row>`
    with asked as materialized (
      select salt, next, floor, (
        select seq from history_events
        where session = ${session} and stream = ${stream} and seq > ${seq}
        order by seq limit 1
      ) as first
      from histories where session = ${session} and tenant = ${tenant}
    ), measured as materialized (
      select salt, next, floor, first, case
        when first is null then 1
        when first < next - ${bounds.eventsMax} then 0
        when (select sum(length(sealed)) from history_events where session = ${session} and seq >= first) > ${bounds.bytesMax} then 0
        else 1
      end as fits
      from asked
    )
    select measured.salt, measured.next, measured.floor, measured.fits,
      stream.lost, stream.producer, stream.ended, event.seq, event.at, event.sealed
    from measured
    left join history_streams stream on stream.session = ${session} and stream.stream = ${stream}
    left join history_events event on event.session = ${session} and event.stream = ${stream}
      and event.seq >= case when measured.fits = 1 then measured.first end
    order by event.seq`.execute(db)
  const [first] = rows
  const state = { producer: first?.producer ?? undefined, ended: (first?.ended ?? Number(stream !== 0)) === 1 }
  if (first === undefined) return seq === 0 ? { state, salt: undefined, events: [] } : undefined
  const { salt, next, floor, fits, lost } = first
  if (fits === 0 || seq >= next || seq < floor || seq < (lost ?? 0)) return undefined
  const events = rows.flatMap(({ seq, at, sealed }) => (seq === null ? [] : [{ seq, at: at!, sealed: sealed! }]))
  if (events.some(({ at }) => at + bounds.historyMs <= now)) return undefined
  return { state, salt: Buffer.from(salt), events }
}
