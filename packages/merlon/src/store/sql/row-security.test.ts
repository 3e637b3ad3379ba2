import { type Kysely, sql } from 'kysely'
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { IdentityStores } from '../../identity/identity-store.ts'
import { everyTenant, type TenantReach } from '../../identity/reach.ts'
import { openDatabase, type SqlDatabase } from './database.ts'
import { sqlIdentity } from './identity-stores.ts'
import { actWithin } from './row-security.ts'
import type { Tables } from './tables.ts'
import { testPostgres } from './test-postgres.ts'

const now = 1_800_000_000_000
const tables = ['users', 'api_keys', 'retired_secrets', 'tenants', 'agents', 'sign_ins', 'blocked_subjects'] as const

/** A tenant with a user, an agent, a sign-in, and a key that has had two secrets. */
async function populate(store: IdentityStores, tenant: string): Promise<void> {
  const owner = `usr_${tenant}`
  const id = `key_${tenant}`
  const secret = { digest: Buffer.alloc(32, 7), pepper: 'p', last4: 'abcd' }
  await store.tenants.ensureTenant(tenant, now)
  await store.users.createUser({ id: owner, tenant, name: 'alice', role: 'user', status: 'active' }, now)
  await store.keys.createKey({ ...secret, id, tenant, owner, name: 'laptop', scopes: [], expiresAt: now + 1 }, now)
  await store.keys.rotateKey(tenant, id, { ...secret, digest: Buffer.alloc(32, 8) }, now, now)
  const agent = { id: `agt_${tenant}`, tenant, owner, name: 'bot', type: 'assistant', capabilities: [], metadata: {} }
  await store.agents.createAgent({ ...agent, status: 'active' }, now)
  const signIn = { id: `sgn_${tenant}`, tenant, user: owner, expiresAt: now + 1, address: undefined }
  await store.signIns.createSignIn(signIn, undefined, now)
  const block = { id: `blk_${tenant}`, issuer: 'https://id.example', subject: 'ann', tenant, by: owner }
  await store.subjects.blockSubject(block, now)
}

/** How many rows of each table there are to be seen by a query that forgot its tenant. */
async function rowsSeen(db: Kysely<Tables>): Promise<number[]> {
  const seen: number[] = []
  for (const table of tables) seen.push((await db.selectFrom(table).selectAll().execute()).length)
  return seen
}

/** How many rows of each table such a query would change. */
async function rowsChanged(db: Kysely<Tables>): Promise<bigint[]> {
  const changed: bigint[] = []
  for (const table of tables) {
    changed.push((await db.updateTable(table).set({ changed: 99 }).executeTakeFirstOrThrow()).numUpdatedRows)
  }
  return changed
}

const postgres = await testPostgres()
afterAll(async () => {
  if ('close' in postgres) await postgres.close()
})

if ('reason' in postgres) describe.skip(`row security on PostgreSQL: ${postgres.reason}`, () => undefined)
else {
  describe('AU-04: PostgreSQL keeps a query that forgot its tenant to the one of its transaction', () => {
    let database: SqlDatabase
    let store: IdentityStores
    const within = <T>(reach: TenantReach, act: (db: Kysely<Tables>) => Promise<T>) => actWithin(database, reach, act)

    beforeEach(async () => {
      database = await openDatabase({ databaseUrl: await postgres.database() })
      store = sqlIdentity(database)
      for (const tenant of ['a', 'b']) await populate(store, tenant)
    })
    afterEach(() => store.close())

    it('is asked as a role that no exemption holds for', async () => {
      const { rows } = await sql`select rolsuper, rolbypassrls from pg_roles where rolname = current_user`.execute(
        database.db,
      )
      expect(rows).toEqual([{ rolsuper: false, rolbypassrls: false }])
    })

    it('AU-04: without a tenant no row is seen or changed', async () => {
      expect(await rowsSeen(database.db)).toEqual([0, 0, 0, 0, 0, 0, 0])
      expect(await rowsChanged(database.db)).toEqual([0n, 0n, 0n, 0n, 0n, 0n, 0n])
    })

    it('AU-04: within a tenant the rows of another are neither seen nor changed', async () => {
      expect(await within('a', rowsSeen)).toEqual([1, 1, 1, 1, 1, 1, 1])
      expect(await within('a', rowsChanged)).toEqual([1n, 1n, 1n, 1n, 1n, 1n, 1n])
      const others = await within('b', (db) => db.selectFrom('api_keys').select(['id', 'changed']).execute())
      expect(others.map(({ id }) => id)).toEqual(['key_b'])
      expect(others[0]!.changed).toBeLessThan(99)
      const taken = within('a', (db) =>
        db.deleteFrom('retired_secrets').where('key_id', '=', 'key_b').executeTakeFirst(),
      )
      expect(await taken).toMatchObject({ numDeletedRows: 0n })
    })

    it('AU-04: within a tenant nothing is written into another', async () => {
      const user = {
        id: 'usr_2',
        tenant: 'b',
        name: 'bob',
        role: 'user',
        status: 'active',
        created_at: now,
        updated_at: now,
        version: 1,
        changed: 1,
      }
      const secret = { key_id: 'key_b', digest: Buffer.alloc(32), grace_until: now, changed: 1 }
      const refused = /row-level security/
      await expect(
        within('a', (db) =>
          db
            .insertInto('users')
            .values({ ...user, status: 'active' })
            .execute(),
        ),
      ).rejects.toThrow(refused)
      await expect(within('a', (db) => db.insertInto('retired_secrets').values(secret).execute())).rejects.toThrow(
        refused,
      )
      await expect(within('a', (db) => db.updateTable('users').set({ tenant: 'b' }).execute())).rejects.toThrow(refused)
    })

    it('AU-04: every tenant is reached where that is written out, and not by a tenant of that name', async () => {
      expect(await within(everyTenant, rowsSeen)).toEqual([2, 2, 2, 2, 2, 2, 2])
      for (const name of ['*', '']) {
        expect(await within(name, rowsSeen)).toEqual([0, 0, 0, 0, 0, 0, 0])
        expect(await store.users.findUser(name, 'alice')).toBeUndefined()
      }
    })

    it('AU-04: the connections that look for keys in every tenant change nothing', async () => {
      expect(await store.keys.findKey('key_b')).toMatchObject({ tenant: 'b', retired: [{ graceUntil: now }] })
      const change = database.ready(
        database.db
          .updateTable('users')
          .set({ status: 'disabled' as const })
          .compile(),
      )
      await expect(Promise.resolve(change('disabled'))).rejects.toThrow('read-only transaction')
    })
  })
}
