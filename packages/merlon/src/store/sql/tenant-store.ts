import type { Kysely, Selectable } from 'kysely'
import type { Instant } from '../../call.ts'
import { checkReach, everyTenant, type PageQuery, type TenantReach, type Updated } from '../../identity/reach.ts'
import type { NewTenant, Tenant, TenantChange, TenantStore } from '../../identity/tenant-store.ts'
import { type Act, Acts, limitOf, Refused } from './acts.ts'
import { reaching, type SqlDatabase } from './database.ts'
import { hasOperator } from './operators.ts'
import { actWithin } from './row-security.ts'
import type { Tables } from './tables.ts'

export class SqlTenantStore implements TenantStore {
  readonly #acts: Acts

  constructor(database: SqlDatabase) {
    this.#acts = new Acts(database)
  }

  ensureTenant(tenant: string, now: Instant): Promise<boolean> {
    return reaching(() => actWithin(this.#acts.database, tenant, (act) => ensureTenant(act, tenant, now)))
  }

  createTenant({ id, name, scopes }: NewTenant, now: Instant): Promise<'created' | 'taken'> {
    return this.#acts.change(id, async (act, changed) => {
      const there = await act.selectFrom('tenants').select('id').where('id', '=', id).executeTakeFirst()
      if (there !== undefined) throw new Refused('taken' as const)
      await insertTenant(act, { id, name, scopes }, changed, now)
      return 'created' as const
    })
  }

  async findTenant(reach: TenantReach, id: string): Promise<Tenant | undefined> {
    checkReach(reach)
    return this.#acts.read(reach, (db) => tenantWithin(db, reach, id))
  }

  async listTenants({ tenant, after, limit }: PageQuery): Promise<readonly Tenant[]> {
    checkReach(tenant)
    return this.#acts.read(tenant, async (db) => {
      let tenants = db.selectFrom('tenants').selectAll()
      if (tenant !== everyTenant) tenants = tenants.where('id', '=', tenant)
      if (after !== undefined) tenants = tenants.where('id', '>', after)
      return (await tenants.orderBy('id').limit(limit).execute()).map(tenantOf)
    })
  }

  async updateTenant(
    id: string,
    { name, status, scopes }: TenantChange,
    expected: number | undefined,
    now: Instant,
  ): Promise<Updated<Tenant, 'last-operator'>> {
    checkReach(id)
    return this.#acts.change<Updated<Tenant, 'last-operator'>>(id, async (act, changed) => {
      const tenant = await tenantWithin(act, id, id)
      if (tenant === undefined) throw new Refused({ outcome: 'unknown' })
      if (expected !== undefined && expected !== tenant.version) throw new Refused({ outcome: 'changed' })
      const hadOperator = await hasOperator(this.#acts, act, id, id)
      await act
        .updateTable('tenants')
        .set({
          ...(name === undefined ? {} : { name }),
          ...(status === undefined ? {} : { status }),
          ...(scopes === undefined ? {} : { scopes: scopes?.join(' ') ?? null }),
          updated_at: now,
          version: tenant.version + 1,
          // A new name is no news of anybody's rights, and a tenant may have very many credentials.
          ...(status === undefined && scopes === undefined ? {} : { changed }),
        })
        .where('id', '=', id)
        .execute()
      if (hadOperator && !(await hasOperator(this.#acts, act, id))) {
        throw new Refused({ outcome: 'last-operator' })
      }
      return { outcome: 'updated', value: (await tenantWithin(act, id, id))! }
    })
  }
}

export async function ensureTenant(act: Act, tenant: string, now: Instant): Promise<boolean> {
  const there = await act.selectFrom('tenants').select('id').where('id', '=', tenant).executeTakeFirst()
  if (there !== undefined) return false
  const { numInsertedOrUpdatedRows } = await act
    .insertInto('tenants')
    .values(rowOf({ id: tenant, name: tenant, scopes: undefined }, 0, now))
    .onConflict((conflict) => conflict.doNothing())
    .executeTakeFirst()
  return numInsertedOrUpdatedRows === 1n
}

async function insertTenant(act: Act, tenant: NewTenant, changed: number, now: Instant): Promise<void> {
  await act
    .insertInto('tenants')
    .values(rowOf(tenant, changed, now))
    .execute()
}

function rowOf({ id, name, scopes }: NewTenant, changed: number, now: Instant): Tables['tenants'] {
  return {
    id,
    name,
    status: 'active',
    scopes: scopes?.join(' ') ?? null,
    created_at: now,
    updated_at: now,
    version: 1,
    changed,
  }
}

async function tenantWithin(db: Kysely<Tables>, reach: TenantReach, id: string): Promise<Tenant | undefined> {
  if (reach !== everyTenant && reach !== id) return undefined
  const row = await db.selectFrom('tenants').selectAll().where('id', '=', id).executeTakeFirst()
  return row && tenantOf(row)
}

function tenantOf(row: Selectable<Tables['tenants']>): Tenant {
  const { id, name, status, version } = row
  return {
    id,
    name,
    status,
    scopes: limitOf(row.scopes),
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    version,
  }
}
