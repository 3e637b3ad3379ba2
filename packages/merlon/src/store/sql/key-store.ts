import { type Kysely, type Selectable, sql, type Transaction } from 'kysely'
import type { Instant } from '../../call.ts'
import {
  type ApiKey,
  type Changes,
  checkReach,
  everyTenant,
  type FactName,
  type KeyQuery,
  type KeyRecord,
  type KeyStore,
  type KeyUse,
  type NewKey,
  type NewSecret,
  type Rotation,
  retiredSecretsMax,
  type TenantReach,
  type User,
  type UserStatus,
} from '../../identity/key-store.ts'
import { openDatabase, reaching, type SqlDatabase, type SqlTarget } from './database.ts'
import { actWithin, readWithin } from './row-security.ts'
import type { Tables } from './tables.ts'

/** Opens the keys in SQLite or PostgreSQL. `Fault('store.unavailable')` when the database cannot be reached. */
export async function openSqlKeyStore(target: SqlTarget): Promise<SqlKeyStore> {
  return new SqlKeyStore(await openDatabase(target))
}

type Act = Transaction<Tables>

/** Thrown inside a transaction to leave everything as it was and answer with `value`. */
class Refused<T> {
  readonly value: T
  constructor(value: T) {
    this.value = value
  }
}

const touchedAtOnce = 500

export class SqlKeyStore implements KeyStore {
  readonly #database: SqlDatabase
  readonly #db: Kysely<Tables>
  readonly #recordOf: (id: string) => RecordRow[] | Promise<RecordRow[]>

  constructor(database: SqlDatabase) {
    this.#database = database
    this.#db = database.db
    this.#recordOf = database.ready(recordQuery(database.db))
  }

  ensureTenant(tenant: string, now: Instant): Promise<boolean> {
    return reaching(() => this.#db.transaction().execute((act) => ensureTenant(act, tenant, now)))
  }

  createUser(user: User, now: Instant): Promise<'created' | 'tenant-unknown' | 'name-taken'> {
    return this.#change(user.tenant, async (act, changed) => {
      const tenant = await act.selectFrom('tenants').select('id').where('id', '=', user.tenant).executeTakeFirst()
      if (tenant === undefined) throw new Refused('tenant-unknown' as const)
      const namesake = await act
        .selectFrom('users')
        .select('id')
        .where('tenant', '=', user.tenant)
        .where('name', '=', user.name)
        .executeTakeFirst()
      if (namesake !== undefined) throw new Refused('name-taken' as const)
      await insertUser(act, user, changed, now)
      return 'created' as const
    })
  }

  findUser(tenant: string, name: string): Promise<User | undefined> {
    return reaching(() =>
      readWithin(this.#database, tenant, (db) =>
        db
          .selectFrom('users')
          .select(['id', 'tenant', 'name', 'role', 'status'])
          .where('tenant', '=', tenant)
          .where('name', '=', name)
          .executeTakeFirst(),
      ),
    )
  }

  setUserStatus(tenant: string, user: string, status: UserStatus, _now: Instant): Promise<boolean> {
    return this.#change(tenant, async (act, changed) => {
      const { numUpdatedRows } = await act
        .updateTable('users')
        .set({ status, changed })
        .where('id', '=', user)
        .where('tenant', '=', tenant)
        .executeTakeFirst()
      if (numUpdatedRows === 0n) throw new Refused(false)
      return true
    })
  }

  createKey(key: NewKey, now: Instant): Promise<'created' | 'owner-unknown' | 'name-taken'> {
    return this.#change(key.tenant, async (act, changed) => {
      const owner = await act
        .selectFrom('users')
        .select('id')
        .where('id', '=', key.owner)
        .where('tenant', '=', key.tenant)
        .executeTakeFirst()
      if (owner === undefined) throw new Refused('owner-unknown' as const)
      const namesake = await act
        .selectFrom('api_keys')
        .select('id')
        .where('owner', '=', key.owner)
        .where('name', '=', key.name)
        .where('revoked_at', 'is', null)
        .executeTakeFirst()
      if (namesake !== undefined) throw new Refused('name-taken' as const)
      await insertKey(act, key, changed, now)
      return 'created' as const
    })
  }

  findKey(id: string): Promise<KeyRecord | undefined> {
    return reaching(async () => recordOf(await this.#recordOf(id)))
  }

  async listKeys(query: KeyQuery): Promise<readonly ApiKey[]> {
    checkReach(query.tenant)
    const { tenant, user, after } = query
    const page = async (db: Kysely<Tables>) => {
      let keys = db.selectFrom('api_keys').select(shown)
      if (tenant !== everyTenant) keys = keys.where('tenant', '=', tenant)
      if (user !== undefined) keys = keys.where('owner', '=', user)
      if (after !== undefined) keys = keys.where('id', '>', after)
      return (await keys.orderBy('id').limit(query.limit).execute()).map(keyOf)
    }
    return reaching(() => readWithin(this.#database, tenant, page))
  }

  async revokeKey(tenant: TenantReach, id: string, now: Instant): Promise<ApiKey | undefined> {
    checkReach(tenant)
    return this.#change(tenant, async (act, changed) => {
      const key = await keyWithin(act, tenant, id)
      if (key === undefined || key.revokedAt !== undefined) throw new Refused(key)
      await act.updateTable('api_keys').set({ revoked_at: now, changed }).where('id', '=', id).execute()
      return { ...key, revokedAt: now }
    })
  }

  async rotateKey(
    tenant: TenantReach,
    id: string,
    secret: NewSecret,
    graceUntil: Instant,
    _now: Instant,
  ): Promise<Rotation> {
    checkReach(tenant)
    return this.#change<Rotation>(tenant, async (act, changed) => {
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
      await act
        .updateTable('api_keys')
        .set({ ...secret, changed })
        .where('id', '=', id)
        .execute()
      return { outcome: 'rotated', key: { ...key, last4: secret.last4 } }
    })
  }

  async touchKeys(uses: readonly KeyUse[]): Promise<void> {
    // In one order everywhere, so that two servers that touch the same keys cannot hold each other up for good.
    const sorted = [...uses].sort((left, right) => (left.id < right.id ? -1 : 1))
    for (let from = 0; from < sorted.length; from += touchedAtOnce) {
      await reaching(() =>
        actWithin(this.#database, everyTenant, async (act) => {
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

  changesSince(revision: number): Promise<Changes> {
    return reaching(async () => {
      // The counter first: a change that commits between the two reads is told now and once more next time.
      const { value } = await this.#db.selectFrom('identity_revision').select('value').executeTakeFirstOrThrow()
      if (value <= revision) return { revision: value, keys: [] }
      const rows = await readWithin(this.#database, everyTenant, (db) => changedAfter(db, revision))
      const keys = rows.map((row) => ({ id: row.id, withdrawn: row.revoked_at !== null || row.status !== 'active' }))
      return { revision: value, keys }
    })
  }

  claimFact(name: FactName, value: string): Promise<string> {
    return reaching(() =>
      this.#db.transaction().execute(async (act) => {
        await act
          .insertInto('installation')
          .values({ name, value })
          .onConflict((conflict) => conflict.doNothing())
          .execute()
        return (await act.selectFrom('installation').select('value').where('name', '=', name).executeTakeFirstOrThrow())
          .value
      }),
    )
  }

  findFact(name: FactName): Promise<string | undefined> {
    return reaching(async () => {
      const row = await this.#db.selectFrom('installation').select('value').where('name', '=', name).executeTakeFirst()
      return row?.value
    })
  }

  createFirst(tenant: string, user: User, key: NewKey, now: Instant): Promise<boolean> {
    return this.#change(tenant, async (act, changed) => {
      const { numInsertedOrUpdatedRows } = await act
        .insertInto('installation')
        .values({ name: 'first-start', value: String(now) })
        .onConflict((conflict) => conflict.doNothing())
        .executeTakeFirst()
      if (numInsertedOrUpdatedRows === 0n) throw new Refused(false)
      await ensureTenant(act, tenant, now)
      await insertUser(act, user, changed, now)
      await insertKey(act, key, changed, now)
      return true
    })
  }

  async close(): Promise<void> {
    await this.#database.close()
  }

  /**
   * Runs a change as one transaction that first takes the next revision. The counter's row stays locked until the commit,
   * so changes commit in the order of their revisions and what a change reads stays true until it is done. It reaches the
   * rows of `reach` alone.
   */
  async #change<T>(reach: TenantReach, change: (act: Act, changed: number) => Promise<T>): Promise<T> {
    try {
      return await actWithin(this.#database, reach, async (act) => {
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
}

async function ensureTenant(act: Act, tenant: string, now: Instant): Promise<boolean> {
  const { numInsertedOrUpdatedRows } = await act
    .insertInto('tenants')
    .values({ id: tenant, created_at: now })
    .onConflict((conflict) => conflict.doNothing())
    .executeTakeFirst()
  return numInsertedOrUpdatedRows === 1n
}

async function insertUser(act: Act, user: User, changed: number, now: Instant): Promise<void> {
  const { id, tenant, name, role, status } = user
  await act.insertInto('users').values({ id, tenant, name, role, status, created_at: now, changed }).execute()
}

async function insertKey(act: Act, key: NewKey, changed: number, now: Instant): Promise<void> {
  await act
    .insertInto('api_keys')
    .values({
      id: key.id,
      tenant: key.tenant,
      owner: key.owner,
      name: key.name,
      scopes: key.scopes.join(' '),
      digest: key.digest,
      pepper: key.pepper,
      last4: key.last4,
      created_at: now,
      expires_at: key.expiresAt,
      revoked_at: null,
      last_used_at: null,
      changed,
    })
    .execute()
}

/** What may be shown of a key. */
const shown = [
  'id',
  'tenant',
  'owner',
  'name',
  'scopes',
  'last4',
  'created_at',
  'expires_at',
  'revoked_at',
  'last_used_at',
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
    name: row.name,
    scopes: row.scopes === '' ? [] : row.scopes.split(' '),
    last4: row.last4,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    revokedAt: row.revoked_at ?? undefined,
    lastUsedAt: row.last_used_at ?? undefined,
  }
}

function changedAfter(db: Kysely<Tables>, revision: number) {
  const changed = db
    .selectFrom('api_keys')
    .select('id')
    .where('changed', '>', revision)
    .union(
      db
        .selectFrom('api_keys')
        .select('api_keys.id')
        .innerJoin('users', 'users.id', 'api_keys.owner')
        .where('users.changed', '>', revision),
    )
  return db
    .selectFrom('api_keys')
    .innerJoin('users', 'users.id', 'api_keys.owner')
    .select(['api_keys.id', 'api_keys.revoked_at', 'users.status'])
    .where('api_keys.id', 'in', changed)
    .execute()
}

type RecordRow = ShownRow & {
  digest: Uint8Array
  pepper: string
  user_name: string
  role: string
  status: UserStatus
  retired_digest: Uint8Array | null
  grace_until: number | null
}

/** A key with its owner, once for each retired secret, the latest first. */
function recordQuery(db: Kysely<Tables>) {
  return db
    .selectFrom('api_keys as key')
    .innerJoin('users as user', (on) => on.onRef('user.id', '=', 'key.owner').onRef('user.tenant', '=', 'key.tenant'))
    .leftJoin('retired_secrets as old', 'old.key_id', 'key.id')
    .select([...shown.map((column) => `key.${column}` as const), 'key.digest', 'key.pepper'])
    .select(['user.name as user_name', 'user.role', 'user.status'])
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
    retired,
  }
}
