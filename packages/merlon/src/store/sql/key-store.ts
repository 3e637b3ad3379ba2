import type { Kysely, Selectable } from 'kysely'
import type { Instant } from '../../call.ts'
import {
  type ApiKey,
  type KeyQuery,
  type KeyRecord,
  type KeyStore,
  type KeyUpdate,
  type KeyUse,
  type NewKey,
  type NewSecret,
  type Rotation,
  retiredSecretsMax,
} from '../../identity/key-store.ts'
import { checkReach, everyTenant, type TenantReach, type Updated } from '../../identity/reach.ts'
import { type Act, Acts, limitOf, Refused, scopesOf } from './acts.ts'
import { reaching, type SqlDatabase } from './database.ts'
import { actWithin } from './row-security.ts'
import type { Tables } from './tables.ts'

const touchedAtOnce = 500

export class SqlKeyStore implements KeyStore {
  readonly #acts: Acts
  readonly #recordOf: (id: string) => RecordRow[] | Promise<RecordRow[]>

  constructor(database: SqlDatabase) {
    this.#acts = new Acts(database)
    this.#recordOf = database.ready(recordQuery(database.db))
  }

  createKey(key: NewKey, now: Instant, ownerRole?: string): Promise<'created' | 'owner-unknown' | 'name-taken'> {
    return this.#acts.change<'created' | 'owner-unknown' | 'name-taken'>(key.tenant, async (act, changed) => {
      const owner = await act
        .selectFrom('users')
        .select('role')
        .where('id', '=', key.owner)
        .where('tenant', '=', key.tenant)
        .where('removed_at', 'is', null)
        .executeTakeFirst()
      const asJudged = owner !== undefined && (ownerRole ?? owner.role) === owner.role
      if (!asJudged || !(await isAgentOf(act, key))) throw new Refused('owner-unknown' as const)
      if (await isTaken(act, key)) throw new Refused('name-taken' as const)
      await insertKey(act, key, changed, now)
      return 'created' as const
    })
  }

  findKey(id: string): Promise<KeyRecord | undefined> {
    return reaching(async () => recordOf(await this.#recordOf(id)))
  }

  async listKeys(query: KeyQuery): Promise<readonly ApiKey[]> {
    checkReach(query.tenant)
    const { tenant, user, agent, after } = query
    return this.#acts.read(tenant, async (db) => {
      let keys = db.selectFrom('api_keys').select(shown)
      if (tenant !== everyTenant) keys = keys.where('tenant', '=', tenant)
      if (user !== undefined) keys = keys.where('owner', '=', user)
      if (agent !== undefined) keys = keys.where('agent', '=', agent)
      if (after !== undefined) keys = keys.where('id', '>', after)
      return (await keys.orderBy('id').limit(query.limit).execute()).map(keyOf)
    })
  }

  async updateKey(
    tenant: TenantReach,
    id: string,
    change: KeyUpdate,
    expected: number | undefined,
    now: Instant,
  ): Promise<Updated<ApiKey, 'name-taken' | 'revoked'>> {
    checkReach(tenant)
    return this.#acts.change<Updated<ApiKey, 'name-taken' | 'revoked'>>(tenant, async (act, changed) => {
      const key = await keyWithin(act, tenant, id)
      if (key === undefined) throw new Refused({ outcome: 'unknown' })
      if (key.revokedAt !== undefined) throw new Refused({ outcome: 'revoked' })
      if (expected !== undefined && expected !== key.version) throw new Refused({ outcome: 'changed' })
      const { name, scopes, addressRanges, active, expiresAt } = change
      if (name !== undefined && (await isTaken(act, { ...key, name }))) throw new Refused({ outcome: 'name-taken' })
      await act
        .updateTable('api_keys')
        .set({
          ...(name === undefined ? {} : { name }),
          ...(scopes === undefined ? {} : { scopes: scopes.join(' ') }),
          ...(addressRanges === undefined ? {} : { address_ranges: addressRanges?.join(' ') ?? null }),
          ...(active === undefined ? {} : { active: active ? 1 : 0 }),
          ...(expiresAt === undefined ? {} : { expires_at: expiresAt }),
          updated_at: now,
          version: key.version + 1,
          changed,
        })
        .where('id', '=', id)
        .execute()
      return { outcome: 'updated', value: (await keyWithin(act, tenant, id))! }
    })
  }

  async revokeKey(tenant: TenantReach, id: string, now: Instant): Promise<ApiKey | undefined> {
    checkReach(tenant)
    return this.#acts.change(tenant, async (act, changed) => {
      const key = await keyWithin(act, tenant, id)
      if (key === undefined || key.revokedAt !== undefined) throw new Refused(key)
      const version = key.version + 1
      await act
        .updateTable('api_keys')
        .set({ revoked_at: now, updated_at: now, version, changed })
        .where('id', '=', id)
        .execute()
      return { ...key, revokedAt: now, updatedAt: now, version }
    })
  }

  async rotateKey(
    tenant: TenantReach,
    id: string,
    secret: NewSecret,
    graceUntil: Instant,
    now: Instant,
  ): Promise<Rotation> {
    checkReach(tenant)
    return this.#acts.change<Rotation>(tenant, async (act, changed) => {
      const key = await keyWithin(act, tenant, id)
      if (key === undefined) throw new Refused<Rotation>({ outcome: 'unknown' })
      if (key.revokedAt !== undefined) throw new Refused<Rotation>({ outcome: 'revoked' })
      await act
        .updateTable('retired_secrets')
        .set({ grace_until: graceUntil })
        .where('key_id', '=', id)
        .where('grace_until', '>', graceUntil)
        .execute()
      const { digest } = await act
        .selectFrom('api_keys')
        .select('digest')
        .where('id', '=', id)
        .executeTakeFirstOrThrow()
      await act.insertInto('retired_secrets').values({ key_id: id, digest, grace_until: graceUntil, changed }).execute()
      const forgotten = await act
        .selectFrom('retired_secrets')
        .select('changed')
        .where('key_id', '=', id)
        .orderBy('changed', 'desc')
        .offset(retiredSecretsMax)
        .limit(1)
        .executeTakeFirst()
      if (forgotten !== undefined) {
        await act
          .deleteFrom('retired_secrets')
          .where('key_id', '=', id)
          .where('changed', '<=', forgotten.changed)
          .execute()
      }
      const version = key.version + 1
      await act
        .updateTable('api_keys')
        .set({ ...secret, updated_at: now, version, changed })
        .where('id', '=', id)
        .execute()
      return { outcome: 'rotated', key: { ...key, last4: secret.last4, updatedAt: now, version } }
    })
  }

  async touchKeys(uses: readonly KeyUse[]): Promise<void> {
    // In one order everywhere, so that two servers that touch the same keys cannot hold each other up for good.
    const sorted = [...uses].sort((left, right) => (left.id < right.id ? -1 : 1))
    for (let from = 0; from < sorted.length; from += touchedAtOnce) {
      await reaching(() =>
        actWithin(this.#acts.database, everyTenant, async (act) => {
          for (const { id, at } of sorted.slice(from, from + touchedAtOnce)) {
            await act
              .updateTable('api_keys')
              .set({ last_used_at: at })
              .where('id', '=', id)
              .where('revoked_at', 'is', null)
              .where((or) => or.or([or('last_used_at', 'is', null), or('last_used_at', '<', at)]))
              .execute()
          }
        }),
      )
    }
  }
}

export async function insertKey(act: Act, key: NewKey, changed: number, now: Instant): Promise<void> {
  await act
    .insertInto('api_keys')
    .values({
      id: key.id,
      tenant: key.tenant,
      owner: key.owner,
      agent: key.agent ?? null,
      use: key.use ?? 'mcp',
      name: key.name,
      scopes: key.scopes.join(' '),
      address_ranges: key.addressRanges?.join(' ') ?? null,
      active: 1,
      digest: key.digest,
      pepper: key.pepper,
      last4: key.last4,
      created_at: now,
      updated_at: now,
      expires_at: key.expiresAt,
      revoked_at: null,
      last_used_at: null,
      version: 1,
      changed,
    })
    .execute()
}

/** What may be shown of a key. */
const shown = [
  'id',
  'tenant',
  'owner',
  'agent',
  'use',
  'name',
  'scopes',
  'address_ranges',
  'active',
  'last4',
  'created_at',
  'updated_at',
  'expires_at',
  'revoked_at',
  'last_used_at',
  'version',
] as const

type ShownRow = Pick<Selectable<Tables['api_keys']>, (typeof shown)[number]>

async function keyWithin(act: Act, tenant: TenantReach, id: string): Promise<ApiKey | undefined> {
  let keys = act.selectFrom('api_keys').select(shown).where('id', '=', id)
  if (tenant !== everyTenant) keys = keys.where('tenant', '=', tenant)
  const row = await keys.executeTakeFirst()
  return row && keyOf(row)
}

function keyOf(row: ShownRow): ApiKey {
  return {
    id: row.id,
    tenant: row.tenant,
    owner: row.owner,
    agent: row.agent ?? undefined,
    use: row.use,
    name: row.name,
    scopes: scopesOf(row.scopes),
    addressRanges: limitOf(row.address_ranges),
    active: row.active === 1,
    last4: row.last4,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    expiresAt: row.expires_at,
    revokedAt: row.revoked_at ?? undefined,
    lastUsedAt: row.last_used_at ?? undefined,
    version: row.version,
  }
}

async function isTaken(act: Act, { id, owner, name }: Pick<ApiKey, 'id' | 'owner' | 'name'>): Promise<boolean> {
  const row = await act
    .selectFrom('api_keys')
    .select('id')
    .where('owner', '=', owner)
    .where('name', '=', name)
    .where('id', '!=', id)
    .where('revoked_at', 'is', null)
    .executeTakeFirst()
  return row !== undefined
}

async function isAgentOf(act: Act, { agent, owner, tenant }: NewKey): Promise<boolean> {
  if (agent === undefined) return true
  const row = await act
    .selectFrom('agents')
    .select('id')
    .where('id', '=', agent)
    .where('tenant', '=', tenant)
    .where('owner', '=', owner)
    .where('removed_at', 'is', null)
    .executeTakeFirst()
  return row !== undefined
}

type RecordRow = ShownRow & {
  digest: Uint8Array
  pepper: string
  user_name: string
  role: string
  status: 'active' | 'disabled'
  agent_status: 'active' | 'inactive' | 'error' | null
  tenant_status: 'active' | 'suspended'
  tenant_scopes: string | null
  retired_digest: Uint8Array | null
  grace_until: number | null
}

/** A key with its owner, once for each retired secret, the latest first. */
function recordQuery(db: Kysely<Tables>) {
  return db
    .selectFrom('api_keys as key')
    .innerJoin('users as user', (on) => on.onRef('user.id', '=', 'key.owner').onRef('user.tenant', '=', 'key.tenant'))
    .innerJoin('tenants as tenant', 'tenant.id', 'key.tenant')
    .leftJoin('agents as agent', 'agent.id', 'key.agent')
    .leftJoin('retired_secrets as old', 'old.key_id', 'key.id')
    .select([...shown.map((column) => `key.${column}` as const), 'key.digest', 'key.pepper'])
    .select(['user.name as user_name', 'user.role', 'user.status'])
    .select(['agent.status as agent_status', 'tenant.status as tenant_status', 'tenant.scopes as tenant_scopes'])
    .select(['old.digest as retired_digest', 'old.grace_until'])
    .where('key.id', '=', '')
    .orderBy('old.changed', 'desc')
    .compile()
}

function recordOf(rows: readonly RecordRow[]): KeyRecord | undefined {
  const [row] = rows
  if (row === undefined) return undefined
  const retired = []
  for (const { retired_digest: digest, grace_until: graceUntil } of rows) {
    if (digest !== null && graceUntil !== null) retired.push({ digest: Buffer.from(digest), graceUntil })
  }
  const key = keyOf(row)
  return {
    ...key,
    digest: Buffer.from(row.digest),
    pepper: row.pepper,
    user: { id: key.owner, tenant: key.tenant, name: row.user_name, role: row.role, status: row.status },
    agentStatus: row.agent_status ?? undefined,
    tenantStatus: row.tenant_status,
    tenantScopes: limitOf(row.tenant_scopes),
    retired,
  }
}
