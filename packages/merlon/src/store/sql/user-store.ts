import type { Kysely, Selectable } from 'kysely'
import type { Instant } from '../../call.ts'
import { checkReach, everyTenant, type TenantReach } from '../../identity/reach.ts'
import {
  type Login,
  type LoginRecord,
  type NewPassword,
  type NewUser,
  operatorRole,
  type User,
  type UserChange,
  type UserCondition,
  type UserQuery,
  type UserStore,
  type UserUpdate,
} from '../../identity/user-store.ts'
import { type Act, Acts, Refused } from './acts.ts'
import { reaching, type SqlDatabase } from './database.ts'
import { endSignIns } from './ended-sign-ins.ts'
import { hasOperator } from './operators.ts'
import { actWithin } from './row-security.ts'
import { noSecondFactor, secondFactorOf } from './second-factor-store.ts'
import type { Tables } from './tables.ts'

export class SqlUserStore implements UserStore {
  readonly #acts: Acts

  constructor(database: SqlDatabase) {
    this.#acts = new Acts(database)
  }

  async createUser(user: NewUser, now: Instant): Promise<'created' | 'tenant-unknown' | 'name-taken' | 'email-taken'> {
    checkReach(user.tenant)
    return this.#acts.change<'created' | 'tenant-unknown' | 'name-taken' | 'email-taken'>(
      user.tenant,
      async (act, changed) => {
        const tenant = await act.selectFrom('tenants').select('id').where('id', '=', user.tenant).executeTakeFirst()
        if (tenant === undefined) throw new Refused('tenant-unknown')
        const taken = await this.#taken(act, user.tenant, user)
        if (taken !== undefined) throw new Refused(taken)
        await insertUser(act, user, changed, now)
        return 'created'
      },
    )
  }

  findUser(tenant: string, name: string): Promise<User | undefined> {
    return this.#acts.read(tenant, async (db) => {
      const row = await present(db).where('tenant', '=', tenant).where('name', '=', name).executeTakeFirst()
      return row && userOf(row)
    })
  }

  async findUserById(tenant: TenantReach, id: string): Promise<User | undefined> {
    checkReach(tenant)
    return this.#acts.read(tenant, async (db) => {
      const row = await rowWithin(db, tenant, id)
      return row && userOf(row)
    })
  }

  findLogin(login: Login): Promise<LoginRecord | undefined> {
    return this.#acts.read('tenant' in login ? login.tenant : everyTenant, async (db) => {
      let users = db
        .selectFrom('users')
        .innerJoin('tenants', 'tenants.id', 'users.tenant')
        .selectAll('users')
        .select('tenants.status as tenant_status')
        .where('users.removed_at', 'is', null)
      if ('email' in login) users = users.where('users.email', '=', login.email)
      else if ('id' in login) users = users.where('users.id', '=', login.id)
      else users = users.where('users.tenant', '=', login.tenant).where('users.name', '=', login.name)
      const row = await users.executeTakeFirst()
      return (
        row && {
          user: userOf(row),
          tenantStatus: row.tenant_status,
          password: row.password ?? undefined,
          secondFactor: secondFactorOf(row),
        }
      )
    })
  }

  async listUsers({ tenant, name, after, limit }: UserQuery): Promise<readonly User[]> {
    checkReach(tenant)
    return this.#acts.read(tenant, async (db) => {
      let users = present(db)
      if (tenant !== everyTenant) users = users.where('tenant', '=', tenant)
      if (name !== undefined) users = users.where('name', '=', name)
      if (after !== undefined) users = users.where('id', '>', after)
      return (await users.orderBy('id').limit(limit).execute()).map(userOf)
    })
  }

  async updateUser(
    tenant: TenantReach,
    id: string,
    change: UserChange,
    only: UserCondition,
    now: Instant,
  ): Promise<UserUpdate> {
    checkReach(tenant)
    return this.#acts.change<UserUpdate>(tenant, async (act, changed) => {
      const before = await expected(act, tenant, id, only.expected)
      const { name, role, status } = change
      const rises = role === operatorRole && before.role !== operatorRole
      const email = change.email ?? undefined
      const taken = await this.#taken(act, tenant, { id, tenant: before.tenant, name: name ?? before.name, email })
      if (taken !== undefined) throw new Refused<UserUpdate>({ outcome: taken })
      await act
        .updateTable('users')
        .set({
          ...(name === undefined ? {} : { name }),
          ...(change.email === undefined ? {} : { email: change.email }),
          ...(role === undefined ? {} : { role }),
          ...(status === undefined ? {} : { status }),
          ...(rises ? { password: null, ...noSecondFactor } : {}),
          updated_at: now,
          version: before.version + 1,
          changed,
        })
        .where('id', '=', id)
        .execute()
      await this.#keepSomebody(act, tenant, before, only)
      // A user who is let in again signs in again.
      if (status === 'disabled' || rises) await endSignIns(act, id, undefined, changed, now)
      if (rises) await revokeKeys(act, id, 'own', changed, now)
      return { outcome: 'updated', value: userOf((await rowWithin(act, tenant, id))!) }
    })
  }

  async setPassword(
    tenant: TenantReach,
    id: string,
    { digest, present: asked, expected: version, keep }: NewPassword,
    now: Instant,
  ): Promise<'set' | 'unknown' | 'changed'> {
    checkReach(tenant)
    return this.#acts.change<'set' | 'unknown' | 'changed'>(tenant, async (act, changed) => {
      const before = await rowWithin(act, tenant, id)
      if (before === undefined) throw new Refused('unknown')
      if (asked !== undefined && asked !== before.password) throw new Refused('changed')
      if (version !== undefined && version !== before.version) throw new Refused('changed')
      await act
        .updateTable('users')
        .set({ password: digest, updated_at: now, version: before.version + 1, changed })
        .where('id', '=', id)
        .execute()
      await endSignIns(act, id, keep, changed, now)
      return 'set'
    })
  }

  rehashPassword(id: string, present: string, digest: string): Promise<boolean> {
    // It changes nobody's rights, so it takes no revision.
    return reaching(() =>
      actWithin(this.#acts.database, everyTenant, async (act) => {
        const { numUpdatedRows } = await act
          .updateTable('users')
          .set({ password: digest })
          .where('id', '=', id)
          .where('password', '=', present)
          .executeTakeFirst()
        return numUpdatedRows === 1n
      }),
    )
  }

  async removeUser(tenant: TenantReach, id: string, only: UserCondition, now: Instant): Promise<UserUpdate> {
    checkReach(tenant)
    return this.#acts.change<UserUpdate>(tenant, async (act, changed) => {
      const before = await expected(act, tenant, id, only.expected)
      await act
        .updateTable('users')
        .set({
          ...{ name: `!${id}`, email: null, password: null, ...noSecondFactor, status: 'disabled' as const },
          ...{ removed_at: now, updated_at: now, version: before.version + 1, changed },
        })
        .where('id', '=', id)
        .execute()
      await this.#keepSomebody(act, tenant, before, only)
      await revokeKeys(act, id, 'all', changed, now)
      await act
        .updateTable('agents')
        .set({ removed_at: now, status: 'inactive', changed })
        .where('owner', '=', id)
        .where('removed_at', 'is', null)
        .execute()
      await endSignIns(act, id, undefined, changed, now)
      return { outcome: 'updated', value: userOf(before) }
    })
  }

  async #taken(
    act: Act,
    reach: TenantReach,
    { id, tenant, name, email }: Pick<NewUser, 'id' | 'tenant' | 'name' | 'email'>,
  ): Promise<'name-taken' | 'email-taken' | undefined> {
    const named = act.selectFrom('users').select('id').where('tenant', '=', tenant).where('name', '=', name)
    if ((await named.where('id', '!=', id).executeTakeFirst()) !== undefined) return 'name-taken'
    if (email === undefined) return undefined
    const other = await this.#acts.everywhere(act, reach, (everywhere) =>
      everywhere.selectFrom('users').select('id').where('email', '=', email).where('id', '!=', id).executeTakeFirst(),
    )
    return other === undefined ? undefined : 'email-taken'
  }

  /** Takes a change back that leaves nobody who could undo it. */
  async #keepSomebody(act: Act, reach: TenantReach, before: UserRow, { administrators }: UserCondition): Promise<void> {
    if (before.status !== 'active') return
    if (before.role === operatorRole && !(await hasOperator(this.#acts, act, reach)) && (await isActive(act, before))) {
      throw new Refused<UserUpdate>({ outcome: 'last-operator' })
    }
    if (administrators?.includes(before.role) !== true) return
    const left = await present(act)
      .where('tenant', '=', before.tenant)
      .where('status', '=', 'active')
      .where('role', 'in', administrators)
      .executeTakeFirst()
    if (left === undefined) throw new Refused<UserUpdate>({ outcome: 'last-administrator' })
  }
}

/** In a tenant that is suspended nobody is an operator who can act, so that nobody is the last of them. */
async function isActive(act: Act, { tenant }: UserRow): Promise<boolean> {
  const row = await act.selectFrom('tenants').select('status').where('id', '=', tenant).executeTakeFirstOrThrow()
  return row.status === 'active'
}

type UserRow = Selectable<Tables['users']>

function present(db: Kysely<Tables>) {
  return db.selectFrom('users').selectAll().where('removed_at', 'is', null)
}

async function rowWithin(db: Kysely<Tables>, tenant: TenantReach, id: string): Promise<UserRow | undefined> {
  let users = present(db).where('id', '=', id)
  if (tenant !== everyTenant) users = users.where('tenant', '=', tenant)
  return users.executeTakeFirst()
}

async function expected(act: Act, tenant: TenantReach, id: string, version: number | undefined): Promise<UserRow> {
  const row = await rowWithin(act, tenant, id)
  if (row === undefined) throw new Refused<UserUpdate>({ outcome: 'unknown' })
  if (version !== undefined && version !== row.version) throw new Refused<UserUpdate>({ outcome: 'changed' })
  return row
}

/** `own`: without those of their agents. */
async function revokeKeys(act: Act, owner: string, which: 'own' | 'all', changed: number, now: Instant): Promise<void> {
  let keys = act.updateTable('api_keys').set({ revoked_at: now, changed }).where('owner', '=', owner)
  if (which === 'own') keys = keys.where('agent', 'is', null)
  await keys.where('revoked_at', 'is', null).execute()
}

export async function insertUser(act: Act, user: NewUser, changed: number, now: Instant): Promise<void> {
  const { id, tenant, name, role, status, email = null, password = null } = user
  await act
    .insertInto('users')
    .values({
      ...{ id, tenant, name, role, status, email, password, changed },
      ...{ created_at: now, updated_at: now, version: 1, removed_at: null },
    })
    .execute()
}

function userOf(row: UserRow): User {
  const { id, tenant, name, role, status, version } = row
  return {
    ...{ id, tenant, name, role, status },
    email: row.email ?? undefined,
    hasPassword: row.password !== null,
    hasSecondFactor: row.second_factor_at !== null,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    version,
  }
}
