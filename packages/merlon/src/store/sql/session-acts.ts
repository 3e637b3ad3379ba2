import {
  type ExpressionBuilder,
  type Kysely,
  type SelectQueryBuilder,
  type SqlBool,
  sql,
  type Transaction,
} from 'kysely'
import type { Instant } from '../../call.ts'
import type { SessionCaps, Withdrawals } from '../../session/session-store.ts'
import type { Engine } from './migrations.ts'
import { hexOf, type SealedSession } from './session-row.ts'
import type { Tables } from './tables.ts'

export type Act = Transaction<Tables>

type Rows = SelectQueryBuilder<Tables, 'sessions', SealedSession>

/** Which sessions: a narrowing of all of them. */
export type Which = (rows: Rows) => Rows

const deletedAtOnce = 500
const askedAtOnce = 500

/** The sessions that are alive. */
export function alive(db: Kysely<Tables>, now: Instant, idleMs: number): Rows {
  return db
    .selectFrom('sessions')
    .selectAll()
    .where('expires_at', '>', now)
    .where('used_at', '>', now - idleMs)
}

/** The sessions that are over, though their rows are there. */
export function over(now: Instant, idleMs: number): Which {
  return (rows) =>
    rows.where((row: ExpressionBuilder<Tables, 'sessions'>) =>
      row.or([row('expires_at', '<=', now), row('used_at', '<=', now - idleMs)]),
    )
}

/** Those of who may call no more, in as many parts as statements are needed. */
export function withdrawn(
  { credentials, principals, tenants }: Withdrawals,
  digestOf: (kind: 'credential' | 'principal', text: string) => Buffer,
): readonly Which[] {
  const parts: Which[] = []
  const anyOf = (column: 'credential' | 'principal' | 'tenant', values: readonly (Buffer | string)[]) => {
    for (let from = 0; from < values.length; from += deletedAtOnce) {
      const part = values.slice(from, from + deletedAtOnce)
      parts.push((rows) => rows.where(column, 'in', part as never))
    }
  }
  const anywhere = credentials.filter(({ tenant }) => tenant === undefined)
  anyOf(
    'credential',
    anywhere.map(({ credential }) => digestOf('credential', credential)),
  )
  anyOf(
    'principal',
    principals.map((principal) => digestOf('principal', principal)),
  )
  anyOf('tenant', tenants)
  for (const { credential, tenant } of credentials) {
    if (tenant === undefined) continue
    const digest = digestOf('credential', credential)
    parts.push((rows) => rows.where('credential', '=', digest).where('tenant', '=', tenant))
  }
  return parts
}

type Counted = Pick<SealedSession, 'tenant' | 'binding'>

function scopesOf({ tenant, binding }: Counted): readonly [string, string, string] {
  return ['all', `tenant ${tenant}`, `binding ${Buffer.from(binding).toString('hex')}`]
}

/** Takes a place in each count, or answers false and takes none. Openers take turns at the first count. */
export async function takePlaces(act: Act, row: Counted, caps: SessionCaps): Promise<boolean> {
  const scopes = scopesOf(row)
  const maxima = [caps.total, caps.perTenant, caps.perPrincipal]
  for (const scope of scopes) {
    await act
      .insertInto('session_counts')
      .values({ scope, alive: 1 })
      .onConflict((clash) => clash.column('scope').doUpdateSet({ alive: sql`session_counts.alive + 1` }))
      .execute()
  }
  const counts = await act.selectFrom('session_counts').selectAll().where('scope', 'in', scopes).execute()
  const full = counts.some(({ scope, alive }) => alive > maxima[scopes.indexOf(scope)]!)
  if (full) await giveBack(act, [row])
  return !full
}

async function giveBack(act: Act, rows: readonly Counted[]): Promise<void> {
  const free = new Map<string, number>()
  for (const row of rows) for (const scope of scopesOf(row)) free.set(scope, (free.get(scope) ?? 0) + 1)
  // In one order, so that two that give back do not wait for each other.
  for (const [scope, count] of [...free].sort(([a], [b]) => (a < b ? -1 : 1))) {
    await act
      .updateTable('session_counts')
      .set({ alive: sql`alive - ${count}` })
      .where('scope', '=', scope)
      .execute()
  }
  await act.deleteFrom('session_counts').where('alive', '<=', 0).execute()
}

/** Deletes sessions and all that was kept of them, and leaves word for other processes. Answers their digests. */
export async function dropSessions(
  act: Act,
  engine: Engine,
  now: Instant,
  which: Which,
): Promise<readonly Uint8Array[]> {
  const seen = await which(act.selectFrom('sessions').selectAll()).execute()
  const found = engine === 'postgres' ? await takeSessions(act, seen, which) : seen
  const dropped: SealedSession[] = []
  for (let from = 0; from < found.length; from += deletedAtOnce) {
    const batch = found.slice(from, from + deletedAtOnce)
    const digests = batch.map(({ session }) => session)
    // Somebody else may have deleted one meanwhile: only what is deleted here is counted here.
    const gone = await act.deleteFrom('sessions').where('session', 'in', digests).returning('session').execute()
    const names = new Set(gone.map(({ session }) => hexOf(session)))
    dropped.push(...batch.filter(({ session }) => names.has(hexOf(session))))
    await act.deleteFrom('histories').where('session', 'in', digests).execute()
  }
  if (dropped.length === 0) return []
  await giveBack(act, dropped)
  const digests = dropped.map(({ session }) => session)
  await leaveWord(act, digests, 1, now)
  return digests
}

/**
 * Takes the rows of these sessions, those of all their histories before any of their own and each kind in one order, as
 * whoever writes to many does, so that nobody waits for one that waits for them. Answers those that are still as asked for.
 */
async function takeSessions(act: Act, seen: readonly SealedSession[], which: Which): Promise<readonly SealedSession[]> {
  if (seen.length === 0) return []
  const among = sql<SqlBool>`session = any(${seen.map(({ session }) => session)})`
  await act.selectFrom('histories').select('session').where(among).orderBy('session').forUpdate().execute()
  return which(act.selectFrom('sessions').selectAll()).where(among).orderBy('session').forUpdate().execute()
}

/** How much word was left, and up to where those who may call no more have none. */
export function revisionOf(db: Kysely<Tables>): Promise<{ readonly value: number; readonly withdrawn: number }> {
  return db.selectFrom('session_revision').select(['value', 'withdrawn']).executeTakeFirstOrThrow()
}

/** What other processes have ended or changed since; without a beginning, only how much word there is. */
export async function newsSince(
  db: Kysely<Tables>,
  since: number | undefined,
): Promise<{ readonly value: number; readonly rows: readonly Pick<Tables['session_news'], 'session' | 'over'>[] }> {
  const { value } = await revisionOf(db)
  if (since === undefined || since === value) return { value, rows: [] }
  const rows = await db
    .selectFrom('session_news')
    .select(['session', 'over'])
    .where('revision', '>', since)
    .where('revision', '<=', value)
    .execute()
  return { value, rows }
}

/** Those of the sessions that have no row any more. */
export async function without(db: Kysely<Tables>, sessions: readonly Buffer[]): Promise<readonly Buffer[]> {
  const there = new Set<string>()
  for (let from = 0; from < sessions.length; from += askedAtOnce) {
    const part = sessions.slice(from, from + askedAtOnce)
    const rows = await db.selectFrom('sessions').select('session').where('session', 'in', part).execute()
    for (const { session } of rows) there.add(hexOf(session))
  }
  return sessions.filter((session) => !there.has(hexOf(session)))
}

/** Tells other processes of sessions that are over, or are not as they were. */
export async function leaveWord(act: Act, sessions: readonly Uint8Array[], over: 0 | 1, now: Instant): Promise<void> {
  const { value } = await act
    .updateTable('session_revision')
    .set({ value: sql`value + ${sessions.length}` })
    .returning('value')
    .executeTakeFirstOrThrow()
  const first = value - sessions.length + 1
  for (let from = 0; from < sessions.length; from += deletedAtOnce) {
    await act
      .insertInto('session_news')
      .values(
        sessions
          .slice(from, from + deletedAtOnce)
          .map((session, at) => ({ revision: first + from + at, session, over, at: now })),
      )
      .execute()
  }
}
