import { type Kysely, sql, type Transaction } from 'kysely'
import { everyTenant, type TenantReach } from '../../identity/reach.ts'
import type { SqlDatabase } from './database.ts'
import type { Tables } from './tables.ts'

/** What the setting holds where every tenant is reached. */
export const everyTenantMark = '*'

/**
 * The setting of PostgreSQL that the policies of `0002-row-security` read. Unset, or empty as a transaction that had set it
 * leaves it behind, it shows no row.
 */
export const tenantSetting = 'merlon.tenant'

/** Runs an act as one transaction that, on PostgreSQL, sees and writes the rows of `reach` alone, whatever it asks for. */
export function actWithin<T>(
  database: SqlDatabase,
  reach: TenantReach,
  act: (act: Transaction<Tables>) => Promise<T>,
): Promise<T> {
  return database.db.transaction().execute(async (transaction) => {
    // Local to the transaction, so that a connection goes back to the pool without it.
    if (database.engine === 'postgres') {
      await sql`select set_config(${tenantSetting}, ${markOf(reach)}, true)`.execute(transaction)
    }
    return await act(transaction)
  })
}

/**
 * As `actWithin` over every tenant, for what need not outlive a power cut. On SQLite its commit is not waited for until it is
 * on the disk: it is there when the process is killed, and may be lost when the machine is; later commits never are without
 * it. PostgreSQL does as it is set to.
 */
export function actLightly<T>(database: SqlDatabase, act: (act: Transaction<Tables>) => Promise<T>): Promise<T> {
  if (database.engine === 'postgres') return actWithin(database, everyTenant, act)
  return database.db.connection().execute(async (connection) => {
    await sql`pragma synchronous = normal`.execute(connection)
    try {
      return await connection.transaction().execute(act)
    } finally {
      await sql`pragma synchronous = full`.execute(connection)
    }
  })
}

/** As `actWithin`, for acts that only read: on SQLite these need no transaction, and so wait for no other writer. */
export function readWithin<T>(
  database: SqlDatabase,
  reach: TenantReach,
  read: (db: Kysely<Tables>) => Promise<T>,
): Promise<T> {
  return database.engine === 'postgres' ? actWithin(database, reach, read) : read(database.db)
}

/** A tenant cannot be named so as to reach every tenant: such a name, like no name, is the reach that shows no row. */
function markOf(reach: TenantReach): string {
  if (reach === everyTenant) return everyTenantMark
  return typeof reach === 'string' && reach !== everyTenantMark ? reach : ''
}
