import { createHmac, createSecretKey, randomBytes } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sql } from 'kysely'
import { afterAll, describe, expect, test } from 'vitest'
import { DataKeys } from '../../sealing/data-keys.ts'
import { sessionStoreContract } from '../../session/session-store.contract.ts'
import type { Session, SessionCaps } from '../../session/session-store.ts'
import { SqlDataKeyStore } from './data-key-store.ts'
import { openDatabase, type SqlDatabase, type SqlTarget } from './database.ts'
import { SqlSessionStore } from './session-store.ts'
import { testPostgres } from './test-postgres.ts'

const folder = mkdtempSync(join(tmpdir(), 'merlon-sessions-'))
const postgres = await testPostgres()
const root = createSecretKey(Buffer.alloc(32, 3))
const now = 1_800_000_000_000
const idleMs = 60_000
const wide: SessionCaps = { perPrincipal: 1_000, perTenant: 1_000, total: 1_000 }

afterAll(async () => {
  rmSync(folder, { recursive: true, force: true })
  if ('close' in postgres) await postgres.close()
})

const storeOver = (database: SqlDatabase, idle = idleMs, shared = false) => {
  const unreadable: unknown[] = []
  const keys = new DataKeys({ store: new SqlDataKeyStore(database), root, random: randomBytes, clock: () => now })
  const store = new SqlSessionStore({
    database,
    keys,
    digest: (text) => createHmac('sha256', 'test').update(text).digest(),
    random: randomBytes,
    idleMs: idle,
    shared,
    onUnreadable: (what) => unreadable.push(what),
  })
  return { store, unreadable }
}

const opening = async (target: SqlTarget, idle = idleMs, shared = false) => {
  const database = await openDatabase(target)
  return { ...storeOver(database, idle, shared), database, close: () => database.close() }
}

let files = 0
const fresh = () => ({ file: join(folder, `sessions-${files++}.db`) })

sessionStoreContract('sql on SQLite', (idle) => opening(fresh(), idle))
sessionStoreContract('sql on SQLite, where nothing remembered is trusted', (idle) => opening(fresh(), idle, true))

if ('reason' in postgres) describe.skip(`the session store sql on PostgreSQL: ${postgres.reason}`, () => undefined)
else
  sessionStoreContract('sql on PostgreSQL', async (idle) =>
    opening({ databaseUrl: await postgres.database() }, idle, true),
  )

const sessionOf = (id: string, change: Partial<Session> = {}): Session => ({
  id,
  tenant: 'acme',
  binding: 'alice of acme',
  principal: 'usr_alice',
  credential: 'key_alice',
  version: '2025-11-25',
  client: { name: 'canary-client', version: '1', capabilities: { sampling: {} } },
  openedAt: now,
  expiresAt: now + 600_000,
  logLevel: undefined,
  subscriptions: new Set(['note://canary']),
  ...change,
})

describe('sealed sessions', () => {
  test('SE-05: are there after a restart, with what the client set, and those that ended are not', async () => {
    const target = fresh()
    const first = await opening(target)
    const [kept, ended] = [sessionOf('kept'), sessionOf('ended')]
    for (const session of [kept, ended]) await first.store.open(session, wide, now)
    await first.store.update('kept', { logLevel: 'debug' }, now)
    await first.store.end('ended', ended.binding, now)
    await first.close()
    const second = await opening(target)
    expect(await second.store.find('kept', kept.binding, now)).toEqual({ ...kept, logLevel: 'debug' })
    expect(await second.store.find('kept', 'bob of acme', now)).toBeUndefined()
    expect(await second.store.find('ended', ended.binding, now)).toBeUndefined()
    expect(await second.store.open(sessionOf('more'), { ...wide, perPrincipal: 2 }, now)).toBe('opened')
    expect(await second.store.open(sessionOf('one too many'), { ...wide, perPrincipal: 2 }, now)).toBe('full')
    await second.close()
  })

  test('SE-08: neither the id, nor who, nor what the client said of itself is in any file', async () => {
    const { store, close } = await opening(fresh())
    for (let at = 0; at < 50; at++) await store.open(sessionOf(`session-id-${at}`), wide, now)
    const file = `sessions-${files - 1}.db`
    const bytes = Buffer.concat(
      readdirSync(folder)
        .filter((name) => name.startsWith(file))
        .map((name) => readFileSync(join(folder, name))),
    )
    expect(bytes.length).toBeGreaterThan(20_000)
    for (const planted of ['session-id-7', 'canary-client', 'note://canary', 'alice of acme', 'usr_alice']) {
      for (const text of [planted, Buffer.from(planted).toString('base64'), Buffer.from(planted).toString('hex')])
        expect(bytes.includes(text), text).toBe(false)
      expect(bytes.includes(Buffer.from(planted, 'utf16le')), planted).toBe(false)
    }
    await close()
  })

  const tampering: Readonly<Record<string, (database: SqlDatabase) => Promise<unknown>>> = {
    'a byte altered': ({ db }) =>
      sql`update sessions set sealed = cast(substr(sealed, 1, 40) || x'00' || substr(sealed, 42) as blob) where tenant = 'acme'`.execute(
        db,
      ),
    'cut short': ({ db }) =>
      sql`update sessions set sealed = substr(sealed, 1, length(sealed) - 12) where tenant = 'acme'`.execute(db),
    'what another session holds': ({ db }) =>
      sql`update sessions set sealed = (select sealed from sessions where tenant = 'other') where tenant = 'acme'`.execute(
        db,
      ),
    'given to another tenant': ({ db }) => sql`update sessions set tenant = 'other' where tenant = 'acme'`.execute(db),
    'a later end': ({ db }) => sql`update sessions set expires_at = expires_at + 1 where tenant = 'acme'`.execute(db),
    'another state counted': ({ db }) =>
      sql`update sessions set version = version + 1 where tenant = 'acme'`.execute(db),
    'a destroyed key': ({ db }) => sql`update data_keys set wrapped = x'' where tenant = 'acme'`.execute(db),
  }

  for (const [what, tamper] of Object.entries(tampering)) {
    test(`CR-02: ${what}: the session is not there, and it is told`, async () => {
      const { store, database, close } = await opening(fresh())
      await store.open(sessionOf('mine'), wide, now)
      await store.open(sessionOf('theirs', { tenant: 'other', binding: 'bob of other' }), wide, now)
      await tamper(database)
      const reader = storeOver(database)
      expect(await reader.store.find('mine', 'alice of acme', now)).toBeUndefined()
      expect(reader.unreadable).toHaveLength(1)
      await close()
    })
  }

  test('CR-02: an older state of a session, brought back alone, does not open', async () => {
    const { store, database, close } = await opening(fresh())
    await store.open(sessionOf('mine'), wide, now)
    const { sealed } = await database.db.selectFrom('sessions').select('sealed').executeTakeFirstOrThrow()
    await store.update('mine', { logLevel: 'error' }, now)
    await database.db.updateTable('sessions').set({ sealed }).execute()
    const reader = storeOver(database)
    expect(await reader.store.find('mine', 'alice of acme', now)).toBeUndefined()
    expect(reader.unreadable).toHaveLength(1)
    await close()
  })

  test('SE-03: a row bound to somebody else does not let them in: the binding is sealed too', async () => {
    const { store, database, close } = await opening(fresh())
    await store.open(sessionOf('mine'), wide, now)
    const bound = createHmac('sha256', 'test').update('binding\nmallory').digest()
    await database.db.updateTable('sessions').set({ binding: bound }).execute()
    expect(await storeOver(database).store.find('mine', 'mallory', now)).toBeUndefined()
    await close()
  })
})

describe('sessions of several processes', () => {
  const two = async () => {
    const target = fresh()
    const [one, other] = [await opening(target, idleMs, true), await opening(target, idleMs, true)]
    const over: string[] = []
    other.store.onOver((id) => over.push(id))
    const close = async () => {
      await one.close()
      await other.close()
    }
    return { one: one.store, other: other.store, over, close }
  }
  const mine = sessionOf('mine')

  test('a session opened in one is served by the other', async () => {
    const { one, other, close } = await two()
    await one.open(mine, wide, now)
    expect(await other.find('mine', mine.binding, now)).toEqual(mine)
    await close()
  })

  test('AK-07: what one ends the other refuses at its next poll, and without a poll asks', async () => {
    const { one, other, over, close } = await two()
    await one.open(mine, wide, now)
    await other.poll(now)
    await other.find('mine', mine.binding, now)
    await one.end('mine', mine.binding, now)
    // Within the second that the poll vouches for.
    expect(await other.find('mine', mine.binding, now + 1_000)).toBeDefined()
    expect(await other.find('mine', mine.binding, now + 1_001)).toBeUndefined()
    expect(over).toEqual([])
    await other.poll(now + 1_001)
    expect(over).toEqual(['mine'])
    await other.poll(now + 1_002)
    expect(over).toEqual(['mine'])
    expect(await other.find('mine', mine.binding, now + 1_003)).toBeUndefined()
    await close()
  })

  test('what the client set through one is seen by the other', async () => {
    const { one, other, close } = await two()
    await one.open(mine, wide, now)
    await other.poll(now)
    await other.find('mine', mine.binding, now)
    await one.update('mine', { logLevel: 'warning' }, now)
    await other.poll(now + 1)
    expect((await other.find('mine', mine.binding, now + 1))?.logLevel).toBe('warning')
    await close()
  })

  test('caps hold for all of them together', async () => {
    const { one, other, close } = await two()
    const caps = { ...wide, perPrincipal: 10 }
    const opened = await Promise.all(
      Array.from({ length: 40 }, (_, at) => (at % 2 === 0 ? one : other).open(sessionOf(`s${at}`), caps, now)),
    )
    expect(opened.filter((each) => each === 'opened')).toHaveLength(10)
    await close()
  })

  test('use through one keeps it alive for the other', async () => {
    const { one, other, close } = await two()
    await one.open(mine, wide, now)
    await other.poll(now)
    await other.find('mine', mine.binding, now)
    await one.poll(now + idleMs - 1)
    await one.find('mine', mine.binding, now + idleMs - 1)
    await one.flush()
    await other.poll(now + idleMs)
    expect(await other.find('mine', mine.binding, now + idleMs)).toBeDefined()
    await close()
  })
})
