import { type Kysely, sql } from 'kysely'
import { identityTables } from './migrations/0001-identity.ts'
import { rowSecurity } from './migrations/0002-row-security.ts'
import { people } from './migrations/0003-people.ts'
import { sealedTables } from './migrations/0004-sealed.ts'
import { blockedSubjects } from './migrations/0005-blocked-subjects.ts'
import { streams } from './migrations/0006-streams.ts'
import { replicaTables } from './migrations/0007-replicas.ts'
import { keptKeys } from './migrations/0008-kept-keys.ts'
import { openers } from './migrations/0009-openers.ts'
import { toldChanges } from './migrations/0010-told-changes.ts'
import { mailOwners } from './migrations/0011-mail-owners.ts'
import { secondFactor } from './migrations/0012-second-factor.ts'
import { everyTenantMark, tenantSetting } from './row-security.ts'
import type { Tables } from './tables.ts'

export type Engine = 'sqlite' | 'postgres'

/** The words in which the engines differ. */
export interface Words {
  /** Text that is compared byte by byte, so that pages have one order on every engine. */
  readonly text: string
  readonly integer: string
  readonly bytes: string
  /** Follows the closing bracket of a table. */
  readonly end: string
  /** Whether the engine can keep a connection to the rows of one tenant. */
  readonly rowSecurity: boolean
}

const words: Readonly<Record<Engine, Words>> = {
  sqlite: { text: 'text', integer: 'integer', bytes: 'blob', end: ' strict', rowSecurity: false },
  postgres: { text: 'text collate "C"', integer: 'bigint', bytes: 'bytea', end: '', rowSecurity: true },
}

export interface Migration {
  readonly name: string
  readonly statements: (words: Words) => readonly string[]
}

/** Never edit one that has been released; add the next. */
const migrations: readonly Migration[] = [
  identityTables,
  rowSecurity,
  people,
  sealedTables,
  blockedSubjects,
  streams,
  replicaTables,
  keptKeys,
  openers,
  toldChanges,
  mailOwners,
  secondFactor,
]

/** Any number that no other program is likely to lock in the same database. */
const lock = 0x6d65_726c

/**
 * Brings the tables up to date, in one transaction under a lock, so that several processes may start at once. Where a newer
 * version has been here, nothing is done, and the names of its migrations are the answer.
 */
export async function migrate(db: Kysely<Tables>, engine: Engine): Promise<readonly string[]> {
  return db.transaction().execute(async (act) => {
    if (engine === 'postgres') {
      await sql`select pg_advisory_xact_lock(${lock})`.execute(act)
      // A migration that changes rows has to see those of every tenant.
      await sql`select set_config(${tenantSetting}, ${everyTenantMark}, true)`.execute(act)
    }
    const run = (text: string) => sql.raw(text).execute(act)
    const { text, integer, end } = words[engine]
    await run(
      `create table if not exists merlon_migrations (name ${text} primary key, applied_at ${integer} not null)${end}`,
    )
    const { rows } = await sql<{ name: string }>`select name from merlon_migrations`.execute(act)
    const applied = new Set(rows.map((row) => row.name))
    const missing = migrations.filter((migration) => !applied.delete(migration.name))
    if (applied.size > 0) return [...applied]
    for (const migration of missing) {
      for (const statement of migration.statements(words[engine])) await run(statement)
      await sql`insert into merlon_migrations (name, applied_at) values (${migration.name}, ${Date.now()})`.execute(act)
    }
    return []
  })
}
