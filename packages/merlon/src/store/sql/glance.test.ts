import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { IdentityStores } from '../../identity/identity-store.ts'
import type { NewKey } from '../../identity/key-store.ts'
import { everyTenant } from '../../identity/reach.ts'
import { glance } from './glance.ts'
import { openSqlIdentity } from './identity-stores.ts'
import { testPostgres } from './test-postgres.ts'

const now = 1_785_000_000_000
const hour = 3_600_000
const postgres = await testPostgres()
afterAll(async () => {
  if (!('reason' in postgres)) await postgres.close()
})

let folder = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'merlon-glance-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const key = (id: string, more: Partial<NewKey> = {}): NewKey => ({
  id,
  tenant: 'default',
  owner: 'usr_one',
  name: id,
  scopes: ['read', 'write'],
  expiresAt: now + hour,
  digest: Buffer.alloc(32, 1),
  pepper: 'pepper',
  last4: 'abcd',
  ...more,
})

/** Two operators, one of them disabled; a key that is good, and one of each kind that is not. */
async function fill({ installation, users, keys }: IdentityStores): Promise<void> {
  const operator = { tenant: 'default', role: 'operator', status: 'active' } as const
  await installation.createFirst('default', { ...operator, id: 'usr_one', name: 'one' }, key('key_good'), now - hour)
  await users.createUser({ ...operator, id: 'usr_two', name: 'two', status: 'disabled' }, now - hour)
  await keys.createKey(key('key_ended', { expiresAt: now }), now - hour)
  await keys.createKey(key('key_revoked'), now - hour)
  await keys.revokeKey(everyTenant, 'key_revoked', now - hour)
  await keys.createKey(key('key_off'), now - hour)
  await keys.updateKey(everyTenant, 'key_off', { active: false }, undefined, now - hour)
}

const good = {
  id: 'key_good',
  name: 'key_good',
  tenant: 'default',
  owner: 'usr_one',
  scopes: ['read', 'write'],
  createdAt: now - hour,
  expiresAt: now + hour,
  lastUsedAt: undefined,
}

describe('a look at SQLite', () => {
  test('sees the keys that are good and counts the operators, beside an open store and without one', async () => {
    const file = join(folder, 'merlon.db')
    const stores = await openSqlIdentity({ file })
    await fill(stores)
    const wanted = { keys: [good], operators: 1, role: undefined }
    expect(await glance({ file }, now)).toEqual(wanted)
    await stores.close()
    expect(await glance({ file }, now)).toEqual(wanted)
  })

  test('changes no byte of the database', async () => {
    const file = join(folder, 'merlon.db')
    const stores = await openSqlIdentity({ file })
    await fill(stores)
    await stores.close()
    const before = readFileSync(file)
    await glance({ file }, now)
    expect(readFileSync(file).equals(before)).toBe(true)
    expect(readdirSync(folder).filter((name) => !/^merlon\.db(?:-wal|-shm)?$/.test(name))).toEqual([])
  })

  test('makes no database where there is none, and nothing of what is not one', async () => {
    expect(await glance({ file: join(folder, 'merlon.db') }, now)).toBeUndefined()
    expect(existsSync(join(folder, 'merlon.db'))).toBe(false)
    writeFileSync(join(folder, 'other.db'), 'not a database')
    expect(await glance({ file: join(folder, 'other.db') }, now)).toBeUndefined()
  })
})

describe.skipIf('reason' in postgres)('a look at PostgreSQL', () => {
  test('sees the same, and that the role of the tests is held by row security', async () => {
    if ('reason' in postgres) throw new Error(postgres.reason)
    const databaseUrl = await postgres.database()
    const stores = await openSqlIdentity({ databaseUrl })
    await fill(stores)
    await stores.close()
    expect(await glance({ databaseUrl }, now)).toEqual({
      keys: [good],
      operators: 1,
      role: { superuser: false, bypassesRowSecurity: false },
    })
  })

  test('says nothing of a database that cannot be reached', async () => {
    expect(await glance({ databaseUrl: 'postgres://merlon:hunter2@127.0.0.1:1/merlon' }, now)).toBeUndefined()
  })
})
