import { type Kysely, sql, type Transaction } from 'kysely'
import { everyTenant, type TenantReach } from '../../identity/reach.ts'
import { reaching, type SqlDatabase } from './database.ts'
import { actWithin, everyTenantMark, readWithin, tenantSetting } from './row-security.ts'
import type { Tables } from './tables.ts'

export type Act = Transaction<Tables>

/** Thrown inside a transaction to leave everything as it was and answer with `value`. */
export class Refused<T> {
  readonly value: T
  constructor(value: T) {
    this.value = value
  }
}

export class Acts {
  readonly database: SqlDatabase

  constructor(database: SqlDatabase) {
    this.database = database
  }

  /**
   * Runs a change as one transaction that first takes the next revision. The counter's row stays locked until the commit,
   * so changes commit in the order of their revisions and what a change reads stays true until it is done. It reaches the
   * rows of `reach` alone.
   */
  async change<T>(reach: TenantReach, change: (act: Act, changed: number) => Promise<T>): Promise<T> {
    try {
      return await actWithin(this.database, reach, async (act) => {
        const { value } = await act
          .updateTable('identity_revision')
          .set({ value: sql<number>`value + 1` })
          .returning('value')
          .executeTakeFirstOrThrow()
        return await change(act, value)
      })
    } catch (thrown) {
      if (thrown instanceof Refused) return thrown.value as T
      return reaching(() => Promise.reject(thrown))
    }
  }

  read<T>(reach: TenantReach, read: (db: Kysely<Tables>) => Promise<T>): Promise<T> {
    return reaching(() => readWithin(this.database, reach, read))
  }

  /**
   * Looks beyond the tenant of a change, where a rule is about the installation: an e-mail is one user's, and an operator
   * must be left.
   */
  async everywhere<T>(act: Act, reach: TenantReach, look: (act: Act) => Promise<T>): Promise<T> {
    if (this.database.engine !== 'postgres' || reach === everyTenant) return look(act)
    await sql`select set_config(${tenantSetting}, ${everyTenantMark}, true)`.execute(act)
    const found = await look(act)
    await sql`select set_config(${tenantSetting}, ${reach}, true)`.execute(act)
    return found
  }
}

export function scopesOf(joined: string): readonly string[] {
  return joined === '' ? [] : joined.split(' ')
}

/** No text is no limit; an empty one is a limit that leaves nothing. */
export function limitOf(joined: string | null): readonly string[] | undefined {
  return joined === null ? undefined : scopesOf(joined)
}
