import { type Kysely, sql, type Transaction } from 'kysely'
import { checkReach, everyTenant, type TenantReach } from '../../identity/key-store.ts'
import type { SqlDatabase } from './database.ts'
import type { Tables } from './tables.ts'

/** What the setting holds where every tenant is reached. No tenant may have this name. */
export const everyTenantMark = '*'

/**
 * The setting of PostgreSQL that the policies of `0002-row-security` read. Unset, or empty as a transaction that had set it
 * leaves it behind, it shows no row: `checkReach` lets no tenant be named by an empty string.
 */
export const tenantSetting = 'merlon.tenant'

/** Runs an act as one transaction that, on PostgreSQL, sees and writes the rows of `reach` alone, whatever it asks for. */
export function actWithin<T>(
  database: SqlDatabase,
  reach: TenantReach,
  act: (act: Transaction<Tables>) => Promise<T>,
): Promise<T> {
  const mark = markOf(reach)
  return database.db.transaction().execute(async (transaction) => {
    // Local to the transaction, so that a connection goes back to the pool without it.
    if (database.engine === 'postgres') {
      await sql`select set_config(${tenantSetting}, ${mark}, true)`.execute(transaction)
    }
    return await act(transaction)
  })
}

/** As `actWithin`, for acts that only read: on SQLite these need no transaction, and so wait for no other writer. */
export function readWithin<T>(
  database: SqlDatabase,
  reach: TenantReach,
  read: (db: Kysely<Tables>) => Promise<T>,
): Promise<T> {
  if (database.engine === 'postgres') return actWithin(database, reach, read)
  markOf(reach)
  return read(database.db)
}

function markOf(reach: TenantReach): string {
  checkReach(reach)
  if (reach === everyTenantMark) throw new TypeError('no tenant may be named by the mark of every tenant')
  return reach === everyTenant ? everyTenantMark : reach
}
