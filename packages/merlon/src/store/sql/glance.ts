import { existsSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import pg from 'pg'
import type { Instant } from '../../call.ts'
import { everyTenantMark, tenantSetting } from './row-security.ts'

/** What can be seen of who may call, without opening the store for work: nothing is made, migrated or written. */
export interface Glance {
  /** Those that are good: neither withdrawn nor ended. */
  readonly keys: readonly {
    readonly id: string
    readonly name: string
    readonly tenant: string
    readonly owner: string
    readonly scopes: readonly string[]
    readonly createdAt: Instant
    readonly expiresAt: Instant
    readonly lastUsedAt: Instant | undefined
  }[]
  /** Active users with the role operator. */
  readonly operators: number
  /** What the role of a PostgreSQL connection may do. */
  readonly role: { readonly superuser: boolean; readonly bypassesRowSecurity: boolean } | undefined
}

const keysQuery = `select id, name, tenant, owner, scopes, created_at, expires_at, last_used_at from api_keys
  where revoked_at is null and active = 1 and expires_at > $1 order by id limit 10000`
const operatorsQuery = `select count(*) as operators from users
  where role = 'operator' and status = 'active' and removed_at is null`
const roleQuery = 'select rolsuper, rolbypassrls from pg_roles where rolname = current_user'

/** Looks at the database; `undefined` where there is none, it cannot be reached, or its tables are of another version. */
export async function glance(
  target: { readonly file: string } | { readonly databaseUrl: string },
  now: Instant,
): Promise<Glance | undefined> {
  try {
    return 'file' in target ? glanceAtFile(target.file, now) : await glanceAtPostgres(target.databaseUrl, now)
  } catch {
    // What went wrong may quote the address with its password; that nothing could be seen is all that is said.
    return undefined
  }
}

function glanceAtFile(file: string, now: Instant): Glance | undefined {
  if (!existsSync(file)) return undefined
  const database = new DatabaseSync(file, { readOnly: true, timeout: 2_000 })
  try {
    const rows = database.prepare(keysQuery.replace('$1', '?')).all(now)
    const operators = Number(database.prepare(operatorsQuery).get()?.['operators'])
    return { keys: rows.map(keyOf), operators, role: undefined }
  } finally {
    database.close()
  }
}

async function glanceAtPostgres(connectionString: string, now: Instant): Promise<Glance> {
  const waits = { connectionTimeoutMillis: 2_000, statement_timeout: 5_000, query_timeout: 6_000 }
  const client = new pg.Client({ connectionString, ...waits, application_name: 'merlon config audit' })
  // A connection that breaks while nothing is asked has nobody else to tell.
  client.on('error', () => undefined)
  await client.connect()
  try {
    await client.query('begin read only')
    await client.query('select set_config($1, $2, true)', [tenantSetting, everyTenantMark])
    const role = (await client.query(roleQuery)).rows[0]
    const keys = (await client.query(keysQuery, [now])).rows.map(keyOf)
    const operators = Number((await client.query(operatorsQuery)).rows[0]?.operators)
    return {
      keys,
      operators,
      role: { superuser: role?.rolsuper === true, bypassesRowSecurity: role?.rolbypassrls === true },
    }
  } finally {
    await client.end()
  }
}

function keyOf(row: Readonly<Record<string, unknown>>): Glance['keys'][number] {
  const scopes = String(row['scopes'])
  const used = row['last_used_at']
  return {
    id: String(row['id']),
    name: String(row['name']),
    tenant: String(row['tenant']),
    owner: String(row['owner']),
    scopes: scopes === '' ? [] : scopes.split(' '),
    createdAt: Number(row['created_at']),
    expiresAt: Number(row['expires_at']),
    lastUsedAt: used === null || used === undefined ? undefined : Number(used),
  }
}
