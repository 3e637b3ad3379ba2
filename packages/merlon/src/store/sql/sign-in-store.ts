import type { Kysely, Selectable } from 'kysely'
import type { Instant } from '../../call.ts'
import { checkReach, everyTenant, type TenantReach } from '../../identity/reach.ts'
import {
  type NewSignIn,
  type SignIn,
  type SignInQuery,
  type SignInRecord,
  type SignInStore,
  signInKeptMs,
  signInsKeptMax,
  signInsMax,
} from '../../identity/sign-in-store.ts'
import { type Act, Acts, limitOf, Refused } from './acts.ts'
import { reaching, type SqlDatabase } from './database.ts'
import { actWithin } from './row-security.ts'
import type { Tables } from './tables.ts'

type RecordRow = Selectable<Tables['sign_ins']> & {
  name: string
  role: string
  status: 'active' | 'disabled'
  tenant_status: 'active' | 'suspended'
  tenant_scopes: string | null
  second_factor_at: number | null
}

export class SqlSignInStore implements SignInStore {
  readonly #acts: Acts
  readonly #recordOf: (id: string) => RecordRow[] | Promise<RecordRow[]>

  constructor(database: SqlDatabase) {
    this.#acts = new Acts(database)
    this.#recordOf = database.ready(recordQuery(database.db))
  }

  async createSignIn(
    signIn: NewSignIn,
    expected: number | undefined,
    now: Instant,
  ): Promise<'created' | 'user-unknown' | 'changed'> {
    checkReach(signIn.tenant)
    return this.#acts.change<'created' | 'user-unknown' | 'changed'>(signIn.tenant, async (act, changed) => {
      const { id, tenant, user, expiresAt, address = null, confirmedAt = null } = signIn
      const holder = await act
        .selectFrom('users')
        .innerJoin('tenants', 'tenants.id', 'users.tenant')
        .select('users.version')
        .where('users.id', '=', user)
        .where('users.tenant', '=', tenant)
        .where('users.status', '=', 'active')
        .where('tenants.status', '=', 'active')
        .executeTakeFirst()
      if (holder === undefined) throw new Refused('user-unknown')
      if (expected !== undefined && expected !== holder.version) throw new Refused('changed')
      await act
        .insertInto('sign_ins')
        .values({
          id,
          tenant,
          user_id: user,
          address,
          created_at: now,
          expires_at: expiresAt,
          revoked_at: null,
          confirmed_at: confirmedAt,
          changed,
        })
        .execute()
      await keepBounded(act, user, changed, now)
      return 'created'
    })
  }

  findSignIn(id: string): Promise<SignInRecord | undefined> {
    return reaching(async () => {
      const [row] = await this.#recordOf(id)
      if (row === undefined) return undefined
      const { tenant, user_id, name, role, status } = row
      return {
        ...signInOf(row),
        holder: { id: user_id, tenant, name, role, status },
        hasSecondFactor: row.second_factor_at !== null,
        tenantStatus: row.tenant_status,
        tenantScopes: limitOf(row.tenant_scopes),
      }
    })
  }

  hasSignedIn(user: string, address: string, now: Instant): Promise<boolean> {
    return this.#acts.read(everyTenant, async (db) => {
      const row = await db
        .selectFrom('sign_ins')
        .select('id')
        .where('user_id', '=', user)
        .where('address', '=', address)
        .where('created_at', '>', now - signInKeptMs)
        .limit(1)
        .executeTakeFirst()
      return row !== undefined
    })
  }

  async listSignIns({ tenant, user, after, limit }: SignInQuery): Promise<readonly SignIn[]> {
    checkReach(tenant)
    return this.#acts.read(tenant, async (db) => {
      let signIns = db.selectFrom('sign_ins').selectAll()
      if (tenant !== everyTenant) signIns = signIns.where('tenant', '=', tenant)
      if (user !== undefined) signIns = signIns.where('user_id', '=', user)
      if (after !== undefined) signIns = signIns.where('id', '>', after)
      return (await signIns.orderBy('id').limit(limit).execute()).map(signInOf)
    })
  }

  async revokeSignIn(tenant: TenantReach, id: string, now: Instant): Promise<SignIn | undefined> {
    checkReach(tenant)
    return this.#acts.change(tenant, async (act, changed) => {
      let signIns = act.selectFrom('sign_ins').selectAll().where('id', '=', id)
      if (tenant !== everyTenant) signIns = signIns.where('tenant', '=', tenant)
      const row = await signIns.executeTakeFirst()
      const signIn = row && signInOf(row)
      if (signIn === undefined || signIn.revokedAt !== undefined) throw new Refused(signIn)
      await act.updateTable('sign_ins').set({ revoked_at: now, changed }).where('id', '=', id).execute()
      return { ...signIn, revokedAt: now }
    })
  }

  confirmSignIn(tenant: TenantReach, id: string, now: Instant): Promise<boolean> {
    checkReach(tenant)
    // It is read anew whenever it is asked for, so nobody has to be told.
    return reaching(() =>
      actWithin(this.#acts.database, tenant, async (act) => {
        let signIns = act.updateTable('sign_ins').set({ confirmed_at: now }).where('id', '=', id)
        if (tenant !== everyTenant) signIns = signIns.where('tenant', '=', tenant)
        const { numUpdatedRows } = await signIns
          .where('revoked_at', 'is', null)
          .where('expires_at', '>', now)
          .executeTakeFirst()
        return numUpdatedRows === 1n
      }),
    )
  }

  async revokeSignIns(tenant: TenantReach, user: string, keep: string | undefined, now: Instant): Promise<number> {
    checkReach(tenant)
    return this.#acts.change(tenant, async (act, changed) => {
      let open = act.updateTable('sign_ins').set({ revoked_at: now, changed }).where('user_id', '=', user)
      if (tenant !== everyTenant) open = open.where('tenant', '=', tenant)
      if (keep !== undefined) open = open.where('id', '!=', keep)
      const { numUpdatedRows } = await open
        .where('revoked_at', 'is', null)
        .where('expires_at', '>', now)
        .executeTakeFirst()
      if (numUpdatedRows === 0n) throw new Refused(0)
      return Number(numUpdatedRows)
    })
  }
}

/** Ends the oldest open sign-ins beyond the limit, and forgets those that are old or too many. */
async function keepBounded(act: Act, user: string, changed: number, now: Instant): Promise<void> {
  const own = act.selectFrom('sign_ins').select(['id', 'created_at']).where('user_id', '=', user)
  const latest = own.orderBy('created_at', 'desc').orderBy('id', 'desc').limit(1_000)
  const excess = await latest.where('revoked_at', 'is', null).where('expires_at', '>', now).offset(signInsMax).execute()
  if (excess.length > 0) {
    await act.updateTable('sign_ins').set({ revoked_at: now, changed }).where('id', 'in', idsOf(excess)).execute()
  }
  const forgotten = await latest.offset(signInsKeptMax).execute()
  const old = await own
    .where('created_at', '<=', now - signInKeptMs)
    .where('expires_at', '<=', now)
    .execute()
  const ids = idsOf([...forgotten, ...old])
  if (ids.length > 0) await act.deleteFrom('sign_ins').where('id', 'in', ids).execute()
}

function idsOf(rows: readonly { readonly id: string }[]): string[] {
  return rows.map(({ id }) => id)
}

function recordQuery(db: Kysely<Tables>) {
  return db
    .selectFrom('sign_ins as own')
    .innerJoin('users as user', (on) => on.onRef('user.id', '=', 'own.user_id').onRef('user.tenant', '=', 'own.tenant'))
    .innerJoin('tenants as tenant', 'tenant.id', 'own.tenant')
    .selectAll('own')
    .select(['user.name', 'user.role', 'user.status', 'user.second_factor_at'])
    .select(['tenant.status as tenant_status', 'tenant.scopes as tenant_scopes'])
    .where('own.id', '=', '')
    .compile()
}

function signInOf(row: Selectable<Tables['sign_ins']>): SignIn {
  return {
    id: row.id,
    tenant: row.tenant,
    user: row.user_id,
    address: row.address ?? undefined,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    revokedAt: row.revoked_at ?? undefined,
    confirmedAt: row.confirmed_at ?? undefined,
  }
}
