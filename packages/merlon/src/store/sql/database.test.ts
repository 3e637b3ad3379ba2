import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { sql } from 'kysely'
import pg from 'pg'
import { afterAll, afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { IdentityStores } from '../../identity/identity-store.ts'
import type { NewKey } from '../../identity/key-store.ts'
import { everyTenant } from '../../identity/reach.ts'
import type { NewUser } from '../../identity/user-store.ts'
import { openDatabase, type SqlTarget } from './database.ts'
import { openSqlIdentity, sqlIdentity } from './identity-stores.ts'
import { actWithin } from './row-security.ts'
import { testPostgres } from './test-postgres.ts'

const now = 1_800_000_000_000
const user: NewUser = { id: 'usr_1', tenant: 'a', name: 'alice', role: 'user', status: 'active' }
const key: NewKey = {
  id: 'key_1',
  tenant: 'a',
  owner: 'usr_1',
  name: 'laptop',
  scopes: ['read'],
  digest: Buffer.alloc(32, 7),
  pepper: 'p',
  last4: 'abcd',
  expiresAt: now + 1,
}

async function populate({ tenants, users }: IdentityStores): Promise<void> {
  await tenants.ensureTenant('a', now)
  await users.createUser(user, now)
}

/** What every engine does when several processes start on an empty database, and after a newer version was there. */
function migrationsHold(target: () => Promise<SqlTarget>): void {
  it('makes its tables once, however many open it at once', async () => {
    const place = await target()
    const stores = await Promise.all(Array.from({ length: 4 }, () => openSqlIdentity(place)))
    expect(await Promise.all(stores.map((store) => store.tenants.ensureTenant('a', now)))).toHaveLength(4)
    expect(await stores[0]!.tenants.ensureTenant('a', now)).toBe(false)
    for (const store of stores) await store.close()
  })

  it('refuses a database that a newer version has changed', async () => {
    const place = await target()
    const database = await openDatabase(place)
    await sql`insert into merlon_migrations (name, applied_at) values ('9999-later', 1)`.execute(database.db)
    await database.close()
    await expect(openDatabase(place)).rejects.toThrow('made by a newer Merlon (9999-later)')
  })

  it('keeps a key in the tenant of its owner, whatever the code does', async () => {
    const database = await openDatabase(await target())
    const store = sqlIdentity(database)
    await populate(store)
    await store.tenants.ensureTenant('b', now)
    await store.keys.createKey(key, now)
    const move = actWithin(database, everyTenant, (act) => act.updateTable('api_keys').set({ tenant: 'b' }).execute())
    await expect(move).rejects.toThrow(/foreign key/i)
    await store.close()
  })
}

describe('the embedded database', () => {
  let folder: string
  let file: string

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'merlon-sqlite-'))
    file = join(folder, 'merlon.db')
  })
  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  migrationsHold(async () => ({ file }))

  it('is for its owner alone, log and index included', async () => {
    const store = await openSqlIdentity({ file })
    await populate(store)
    expect(readdirSync(folder).sort()).toEqual(['merlon.db', 'merlon.db-shm', 'merlon.db-wal'])
    for (const name of readdirSync(folder)) expect(statSync(join(folder, name)).mode & 0o777).toBe(0o600)
    await store.close()
  })

  it('makes a data folder that only its owner can enter', async () => {
    const store = await openSqlIdentity({ file: join(folder, 'data', 'merlon.db') })
    expect(statSync(join(folder, 'data')).mode & 0o777).toBe(0o700)
    await store.close()
  })

  it.each([0o770, 0o707, 0o1777])('is refused in a folder of mode %o, where others could replace it', async (mode) => {
    chmodSync(folder, mode)
    await expect(openSqlIdentity({ file })).rejects.toThrow(`others can write to the data folder ${folder}`)
  })

  it('is refused when others can read it', async () => {
    writeFileSync(file, '')
    chmodSync(file, 0o644)
    await expect(openSqlIdentity({ file })).rejects.toThrow(`others can read the database ${file}; run: chmod 600`)
  })

  it('is out of reach, and not empty, when the file is not a database', async () => {
    writeFileSync(file, 'this is no database, and long enough for its header to be looked at\n'.repeat(20), {
      mode: 0o600,
    })
    await expect(openSqlIdentity({ file })).rejects.toMatchObject({ code: 'store.unavailable' })
  })

  it('writes through to the disk at every commit', async () => {
    const database = await openDatabase({ file })
    const { rows } = await sql`pragma synchronous`.execute(database.db)
    expect(rows).toEqual([{ synchronous: 2 }])
    expect((await sql`pragma foreign_keys`.execute(database.db)).rows).toEqual([{ foreign_keys: 1 }])
    await database.close()
  })

  it('is unavailable for changes while another writer holds on, and still answers reads', async () => {
    const store = await openSqlIdentity({ file, waitMs: 30 })
    await populate(store)
    await store.keys.createKey(key, now)
    const other = new DatabaseSync(file)
    other.exec('begin immediate')
    await expect(store.keys.revokeKey('a', key.id, now)).rejects.toMatchObject({ code: 'store.unavailable' })
    expect(await store.keys.findKey(key.id)).toMatchObject({ id: key.id, revokedAt: undefined })
    other.exec('rollback')
    expect(await store.keys.revokeKey('a', key.id, now)).toMatchObject({ revokedAt: now })
    other.close()
    await store.close()
  })

  it('waits for another writer while other work goes on', async () => {
    const store = await openSqlIdentity({ file })
    await populate(store)
    const other = new DatabaseSync(file)
    other.exec('begin immediate')
    const created = store.keys.createKey(key, now)
    // This line is reached only because the wait does not hold the thread.
    other.exec('rollback')
    expect(await created).toBe('created')
    other.close()
    await store.close()
  })

  it('is unavailable when the disk is full, and has changed nothing', async () => {
    const database = await openDatabase({ file })
    const store = sqlIdentity(database)
    await populate(store)
    await store.keys.createKey(key, now)
    const { rows } = await sql<{ page_count: number }>`pragma page_count`.execute(database.db)
    await sql.raw(`pragma max_page_count = ${rows[0]!.page_count}`).execute(database.db)
    const huge = { ...key, id: 'key_2', name: 'x'.repeat(100_000) }
    const { revision } = await store.installation.changesSince(0)
    await expect(store.keys.createKey(huge, now)).rejects.toMatchObject({
      code: 'store.unavailable',
      cause: expect.objectContaining({ message: 'database or disk is full' }),
    })
    expect(await store.keys.findKey('key_2')).toBeUndefined()
    expect(await store.installation.changesSince(revision)).toEqual({
      revision,
      keys: [],
      signIns: [],
      subjects: [],
      suspended: [],
      disabled: [],
    })
    expect(await store.keys.revokeKey('a', key.id, now)).toMatchObject({ revokedAt: now })
    await store.close()
  })

  it('holds no key that could be used, only digests (AK-02)', async () => {
    const store = await openSqlIdentity({ file })
    await populate(store)
    await store.keys.createKey(key, now)
    await store.close()
    expect(readFileSync(file).includes('mrl_')).toBe(false)
    expect(readFileSync(file).includes(key.digest)).toBe(true)
  })
})

const postgres = await testPostgres()
afterAll(async () => {
  if ('close' in postgres) await postgres.close()
})

if ('reason' in postgres) describe.skip(`a PostgreSQL database: ${postgres.reason}`, () => undefined)
else {
  describe('a PostgreSQL database', () => {
    it('outlives the end of a connection in the middle of a transaction', async () => {
      const url = await postgres.database()
      const [database, other] = [await openDatabase({ databaseUrl: url }), await openDatabase({ databaseUrl: url })]
      const act = database.db.transaction().execute(async (transaction) => {
        const { rows } = await sql<{ pid: number }>`select pg_backend_pid() as pid`.execute(transaction)
        await sql`select pg_terminate_backend(${rows[0]!.pid})`.execute(other.db)
        // The end is told between two queries, where nobody waits for an answer.
        await vi.waitFor(async () => {
          const left = await sql`select 1 from pg_stat_activity where pid = ${rows[0]!.pid}`.execute(other.db)
          expect(left.rows).toEqual([])
        }, 15_000)
        await sql`select 1`.execute(transaction)
      })
      await expect(act).rejects.toThrow()
      expect((await sql<{ one: number }>`select 1 as one`.execute(database.db)).rows).toEqual([{ one: 1 }])
      await database.close()
      await other.close()
    })

    migrationsHold(async () => ({ databaseUrl: await postgres.database() }))

    it('is used again after the server has cut every connection', async () => {
      const databaseUrl = await postgres.database()
      const store = await openSqlIdentity({ databaseUrl })
      await populate(store)
      await store.keys.createKey(key, now)
      const admin = new pg.Client({ connectionString: databaseUrl })
      await admin.connect()
      await admin.query(
        'select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and usename = current_user and pid <> pg_backend_pid()',
      )
      await admin.end()
      // The first question may meet the broken connection, and then says so; it never says that there is no such key.
      const asked = await store.keys.findKey(key.id).catch((error: unknown) => error)
      expect(asked).toMatchObject(asked instanceof Error ? { code: 'store.unavailable' } : { id: key.id })
      expect(await store.keys.findKey(key.id)).toMatchObject({ id: key.id })
      await store.close()
    })

    it('is unavailable for a change whose row someone else holds for too long', async () => {
      const databaseUrl = await postgres.database()
      const store = await openSqlIdentity({ databaseUrl, waitMs: 50 })
      await populate(store)
      const other = new pg.Client({ connectionString: databaseUrl })
      await other.connect()
      await other.query('begin')
      await other.query('update identity_revision set value = value')
      const change = store.keys.createKey(key, now)
      await expect(change).rejects.toMatchObject({ code: 'store.unavailable' })
      await other.query('rollback')
      await other.end()
      expect(await store.keys.createKey(key, now)).toBe('created')
      await store.close()
    })
  })
}

describe('a PostgreSQL that cannot be reached', () => {
  it('is unavailable', async () => {
    const taken = createServer()
    await new Promise<void>((listening) => taken.listen(0, '127.0.0.1', listening))
    const { port } = taken.address() as { port: number }
    await new Promise((closed) => taken.close(closed))
    const databaseUrl = `postgres://merlon:canary-password@127.0.0.1:${port}/merlon`
    const error: unknown = await openSqlIdentity({ databaseUrl }).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code: 'store.unavailable' })
    expect(JSON.stringify([error, String((error as Error).cause)])).not.toContain('canary-password')
  })

  it.each(['canary-password', 'postgres://u:canary-password@[bad', 'mysql://u:canary-password@h/d'])(
    'is refused by its URL without repeating it',
    async (databaseUrl) => {
      const error: unknown = await openSqlIdentity({ databaseUrl }).catch((thrown: unknown) => thrown)
      expect(String(error)).toContain('the database URL is not of the form')
      expect(String(error)).not.toContain('canary-password')
    },
  )
})
