import type { Selectable } from 'kysely'
import type { Instant } from '../../call.ts'
import { checkReach, everyTenant, type TenantReach } from '../../identity/reach.ts'
import type { ConfirmedSecondFactor, SecondFactor, SecondFactorStore } from '../../identity/second-factor-store.ts'
import { type Act, Acts, Refused, scopesOf } from './acts.ts'
import { reaching, type SqlDatabase } from './database.ts'
import { endSignIns } from './ended-sign-ins.ts'
import { actWithin } from './row-security.ts'
import type { Tables } from './tables.ts'

export class SqlSecondFactorStore implements SecondFactorStore {
  readonly #acts: Acts

  constructor(database: SqlDatabase) {
    this.#acts = new Acts(database)
  }

  async beginSecondFactor(tenant: TenantReach, id: string, sealed: string): Promise<boolean> {
    checkReach(tenant)
    return reaching(() =>
      actWithin(this.#acts.database, tenant, async (act) => {
        let users = act.updateTable('users').set({ second_factor: sealed, second_factor_step: 0 }).where('id', '=', id)
        if (tenant !== everyTenant) users = users.where('tenant', '=', tenant)
        const { numUpdatedRows } = await users
          .where('second_factor_at', 'is', null)
          .where('removed_at', 'is', null)
          .executeTakeFirst()
        return numUpdatedRows === 1n
      }),
    )
  }

  async confirmSecondFactor(
    tenant: TenantReach,
    id: string,
    { sealed, step, recoveryCodes, keep }: ConfirmedSecondFactor,
    now: Instant,
  ): Promise<'on' | 'changed'> {
    checkReach(tenant)
    return this.#acts.change<'on' | 'changed'>(tenant, async (act, changed) => {
      const before = await rowWithin(act, tenant, id)
      if (before === undefined || before.second_factor !== sealed || before.second_factor_at !== null)
        throw new Refused('changed')
      await act
        .updateTable('users')
        .set({
          ...{ second_factor_at: now, second_factor_step: step, recovery_codes: recoveryCodes.join(' ') },
          ...{ updated_at: now, version: before.version + 1, changed },
        })
        .where('id', '=', id)
        .execute()
      await endSignIns(act, id, keep, changed, now)
      await act.updateTable('sign_ins').set({ confirmed_at: now }).where('id', '=', keep).execute()
      return 'on'
    })
  }

  async removeSecondFactor(
    tenant: TenantReach,
    id: string,
    only: { readonly expected?: number | undefined; readonly keep?: string | undefined },
    now: Instant,
  ): Promise<'removed' | 'off' | 'unknown' | 'changed'> {
    checkReach(tenant)
    return this.#acts.change<'removed' | 'off' | 'unknown' | 'changed'>(tenant, async (act, changed) => {
      const before = await rowWithin(act, tenant, id)
      if (before === undefined) throw new Refused('unknown')
      if (before.second_factor_at === null) throw new Refused('off')
      if (only.expected !== undefined && only.expected !== before.version) throw new Refused('changed')
      await act
        .updateTable('users')
        .set({ ...noSecondFactor, updated_at: now, version: before.version + 1, changed })
        .where('id', '=', id)
        .execute()
      await endSignIns(act, id, only.keep, changed, now)
      return 'removed'
    })
  }

  listSecondFactors(): Promise<readonly { readonly user: string; readonly sealed: string }[]> {
    return this.#acts.read(everyTenant, async (db) => {
      const rows = await db
        .selectFrom('users')
        .select(['id', 'second_factor'])
        .where('second_factor', 'is not', null)
        .execute()
      return rows.map(({ id, second_factor }) => ({ user: id, sealed: second_factor ?? '' }))
    })
  }

  spendStep(id: string, sealed: string, step: number): Promise<boolean> {
    return reaching(() =>
      actWithin(this.#acts.database, everyTenant, async (act) => {
        // Of two at once the second waits for the first, and then finds the step used.
        const { numUpdatedRows } = await act
          .updateTable('users')
          .set({ second_factor_step: step })
          .where('id', '=', id)
          .where('second_factor', '=', sealed)
          .where('second_factor_at', 'is not', null)
          .where('second_factor_step', '<', step)
          .executeTakeFirst()
        return numUpdatedRows === 1n
      }),
    )
  }

  spendRecoveryCode(id: string, sealed: string, digest: string): Promise<boolean> {
    // A change, though it takes nobody's rights: what it reads stays true until it is done.
    return this.#acts.change(everyTenant, async (act) => {
      const row = await rowWithin(act, everyTenant, id)
      const left = row === undefined ? [] : scopesOf(row.recovery_codes)
      if (row?.second_factor !== sealed || row.second_factor_at === null || !left.includes(digest))
        throw new Refused(false)
      await act
        .updateTable('users')
        .set({ recovery_codes: left.filter((each) => each !== digest).join(' ') })
        .where('id', '=', id)
        .execute()
      return true
    })
  }
}

type UserRow = Selectable<Tables['users']>

async function rowWithin(act: Act, tenant: TenantReach, id: string): Promise<UserRow | undefined> {
  let users = act.selectFrom('users').selectAll().where('id', '=', id).where('removed_at', 'is', null)
  if (tenant !== everyTenant) users = users.where('tenant', '=', tenant)
  return users.executeTakeFirst()
}

/** The columns of a user who has none. */
export const noSecondFactor = { second_factor: null, second_factor_at: null, second_factor_step: 0, recovery_codes: '' }

export function secondFactorOf(row: UserRow): SecondFactor | undefined {
  if (row.second_factor === null) return undefined
  return {
    sealed: row.second_factor,
    since: row.second_factor_at ?? undefined,
    step: row.second_factor_step,
    recoveryCodes: scopesOf(row.recovery_codes),
  }
}
