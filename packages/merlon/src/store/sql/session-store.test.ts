import { createHmac, createSecretKey, randomBytes } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sql } from 'kysely'
import { afterAll, describe, expect, test } from 'vitest'
import { everyTenant } from '../../identity/reach.ts'
import { DataKeys } from '../../sealing/data-keys.ts'
import { sessionStoreContract } from '../../session/session-store.contract.ts'
import type { Session, SessionCaps } from '../../session/session-store.ts'
import { SqlDataKeyStore } from './data-key-store.ts'
import { openDatabase, type SqlDatabase, type SqlTarget } from './database.ts'
import { actWithin } from './row-security.ts'
import { SqlSessionStore } from './session-store.ts'
import { testPostgres } from './test-postgres.ts'

const folder = mkdtempSync(join(tmpdir(), 'merlon-sessions-'))
const postgres = await testPostgres()
const root = createSecretKey(Buffer.alloc(32, 3))
const now = 1_800_000_000_000
const idleMs = 60_000
/** How long the end of a session is told to other processes. */
const newsMs = 600_000
const longMs = 3_600_000
const wide: SessionCaps = { perPrincipal: 1_000, perTenant: 1_000, total: 1_000 }

afterAll(async () => {
  rmSync(folder, { recursive: true, force: true })
  if ('close' in postgres) await postgres.close()
}, 60_000)

const digestOf = (text: string) => createHmac('sha256', 'test').update(text).digest()

const storeOver = (database: SqlDatabase, idle = idleMs, shared = false) => {
  const unreadable: unknown[] = []
  const keys = new DataKeys({ store: new SqlDataKeyStore(database), root, random: randomBytes, clock: () => now })
  const store = new SqlSessionStore({
    database,
    keys,
    digest: digestOf,
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

  type Row = Awaited<ReturnType<typeof rowsOf>>[number]
  const rowsOf = (database: SqlDatabase) =>
    actWithin(database, everyTenant, async (act) => {
      const rows = await act.selectFrom('sessions').selectAll().orderBy('tenant').execute()
      return rows.map((row) => ({ ...row, sealed: Buffer.from(row.sealed) }))
    })
  const write = (database: SqlDatabase, row: Partial<Row>) =>
    actWithin(database, everyTenant, (act) =>
      act.updateTable('sessions').set(row).where('tenant', '=', 'acme').execute(),
    )
  /** What is written over a row, given that of another tenant. */
  const tampering: Readonly<Record<string, (mine: Row, theirs: Row) => Partial<Row>>> = {
    'a byte altered': ({ sealed }) => ({ sealed: Buffer.from(sealed).fill(sealed[40]! ^ 1, 40, 41) }),
    'cut short': ({ sealed }) => ({ sealed: sealed.subarray(0, -12) }),
    'what another session holds': (_, { sealed }) => ({ sealed }),
    'all of another session': (_, { session: _name, listed: _listed, binding: _binding, ...rest }) => rest,
    'given to another tenant': () => ({ tenant: 'other' }),
    'a later end': ({ expires_at }) => ({ expires_at: expires_at + 1 }),
    'another state counted': ({ version }) => ({ version: version + 1 }),
    'a state below the first': () => ({ version: -1 }),
    'opened by somebody else, as it seems': (_, { principal }) => ({ principal }),
    'opened with something else, as it seems': (_, { credential }) => ({ credential }),
  }
  const engines: Readonly<Record<string, () => Promise<SqlTarget>>> = {
    SQLite: async () => fresh(),
    ...('reason' in postgres ? {} : { PostgreSQL: () => onePostgres }),
  }
  const onePostgres =
    'reason' in postgres ? Promise.resolve(fresh()) : postgres.database().then((databaseUrl) => ({ databaseUrl }))

  for (const [engine, target] of Object.entries(engines)) {
    const openBoth = async () => {
      const opened = await opening(await target())
      await actWithin(opened.database, everyTenant, async (act) => {
        for (const table of ['sessions', 'session_news', 'session_counts', 'data_keys'] as const)
          await act.deleteFrom(table).execute()
      })
      await opened.store.open(sessionOf('mine'), wide, now)
      const theirs = { tenant: 'other', binding: 'bob of other', principal: 'usr_bob', credential: 'key_bob' }
      await opened.store.open(sessionOf('theirs', theirs), wide, now)
      return opened
    }

    for (const [what, tamper] of Object.entries(tampering)) {
      test(`CR-02: ${what}: on ${engine} the session is not there, and it is told`, async () => {
        const { database, close } = await openBoth()
        const [mine, theirs] = await rowsOf(database)
        await write(database, tamper(mine!, theirs!))
        const reader = storeOver(database)
        expect(await reader.store.find('mine', 'alice of acme', now)).toBeUndefined()
        expect(reader.unreadable).toHaveLength(1)
        const everywhere = await reader.store.list({ everyTenant: true }, { limit: 10 }, now)
        expect(everywhere.map(({ session }) => session.principal)).toEqual(['usr_bob'])
        expect(await reader.store.find('theirs', 'bob of other', now)).toBeDefined()
        await close()
      })
    }

    test(`CR-02: a destroyed key: on ${engine} the session is not there, and it is told`, async () => {
      const { database, close } = await openBoth()
      await actWithin(database, everyTenant, (act) =>
        act
          .updateTable('data_keys')
          .set({ wrapped: Buffer.alloc(0) })
          .where('tenant', '=', 'acme')
          .execute(),
      )
      const reader = storeOver(database)
      expect(await reader.store.find('mine', 'alice of acme', now)).toBeUndefined()
      expect(reader.unreadable).toHaveLength(1)
      await close()
    })

    test(`CR-02: an older state of a session, brought back alone, does not open on ${engine}`, async () => {
      const { store, database, close } = await openBoth()
      const [{ sealed }] = (await rowsOf(database)) as [Row]
      await store.update('mine', { logLevel: 'error' }, now)
      await write(database, { sealed })
      const reader = storeOver(database)
      expect(await reader.store.find('mine', 'alice of acme', now)).toBeUndefined()
      expect(reader.unreadable).toHaveLength(1)
      await close()
    })

    test(`CR-02: an older row put back whole does not open on ${engine} where a later one was seen`, async () => {
      const { database, close } = await openBoth()
      const [before] = await rowsOf(database)
      // One that has changed it, and one that has only read it since, neither of which trusts what it remembers for long.
      const [writer, seer] = [storeOver(database, idleMs, true), storeOver(database, idleMs, true)]
      await writer.store.update('mine', { logLevel: 'error' }, now)
      expect((await seer.store.find('mine', 'alice of acme', now))?.logLevel).toBe('error')
      await write(database, before!)
      const later = now + 1_001
      for (const { store, unreadable } of [writer, seer]) {
        expect(await store.find('mine', 'alice of acme', later)).toBeUndefined()
        expect(unreadable).toHaveLength(1)
        expect(await store.list({ tenant: 'acme' }, { limit: 10 }, later)).toEqual([])
        expect(unreadable).toHaveLength(2)
      }
      // A process that has seen neither cannot know: the threat model says so.
      expect(await storeOver(database).store.find('mine', 'alice of acme', now)).toBeDefined()
      await close()
    })

    test(`SE-05: the row of a session that was ended does not open on ${engine} where its end was seen`, async () => {
      const { store, database, close } = await openBoth()
      const hearer = storeOver(database, idleMs, true)
      await hearer.store.poll(now)
      const [before] = await rowsOf(database)
      await store.end('mine', 'alice of acme', now)
      await hearer.store.poll(now)
      await actWithin(database, everyTenant, (act) => act.insertInto('sessions').values(before!).execute())
      for (const each of [store, hearer.store]) {
        expect(await each.find('mine', 'alice of acme', now)).toBeUndefined()
        expect(await each.list({ tenant: 'acme' }, { limit: 10 }, now)).toEqual([])
      }
      expect(hearer.unreadable).toHaveLength(2)
      await close()
    })

    test(`a database put back from a backup is believed on ${engine}, and what it knows is there again`, async () => {
      const { store, database, close } = await openBoth()
      const seer = storeOver(database, idleMs, true)
      await seer.store.poll(now)
      const [before] = await rowsOf(database)
      const { value } = await database.db.selectFrom('session_revision').select('value').executeTakeFirstOrThrow()
      await store.update('mine', { logLevel: 'error' }, now)
      await seer.store.poll(now)
      await seer.store.find('mine', 'alice of acme', now)
      await write(database, before!)
      await database.db.updateTable('session_revision').set({ value }).execute()
      await seer.store.poll(now)
      expect((await seer.store.find('mine', 'alice of acme', now))?.logLevel).toBeUndefined()
      expect(seer.unreadable).toEqual([])
      await close()
    })
    /** Two of one database, where three sessions were opened that neither time nor disuse ends, and the other has used them. */
    const openTwo = async () => {
      const { database, close } = await openBoth()
      const [one, other] = [storeOver(database, longMs, true).store, storeOver(database, longMs, true).store]
      const over: string[] = []
      other.onOver((id) => over.push(id))
      await other.poll(now)
      for (const id of ['ended', 'changed', 'kept']) {
        await one.open(sessionOf(id, { expiresAt: now + longMs }), wide, now)
        await other.find(id, 'alice of acme', now)
      }
      return { one, other, over, database, close }
    }

    test(`AK-07: what was ended on ${engine} while one heard nothing for longer than it is told, is over for it then`, async () => {
      const { one, other, over, close } = await openTwo()
      await one.end('ended', 'alice of acme', now)
      await one.update('changed', { logLevel: 'warning' }, now)
      const later = now + newsMs + 1
      await one.sweep(later)
      await other.poll(later)
      expect(over).toEqual(['ended'])
      const find = (id: string) => other.find(id, 'alice of acme', later)
      expect(await find('ended')).toBeUndefined()
      expect((await find('changed'))?.logLevel).toBe('warning')
      expect((await find('kept'))?.id).toBe('kept')
      await other.poll(later)
      expect(over).toEqual(['ended'])
      await close()
    })

    test(`AK-07: on ${engine} nothing remembered is trusted while it cannot be looked at, and it is looked at again`, async () => {
      const { one, other, over, database, close } = await openTwo()
      await one.end('ended', 'alice of acme', now)
      await one.sweep(now + newsMs + 1)
      const rename = (from: string, to: string) =>
        actWithin(database, everyTenant, (act) =>
          sql`alter table ${sql.table(from)} rename to ${sql.table(to)}`.execute(act),
        )
      await rename('sessions', 'sessions_away')
      await expect(other.poll(now)).rejects.toThrow()
      expect(over).toEqual([])
      await expect((async () => other.find('ended', 'alice of acme', now))()).rejects.toThrow()
      await rename('sessions_away', 'sessions')
      await other.poll(now)
      expect(over).toEqual(['ended'])
      expect(await other.find('ended', 'alice of acme', now)).toBeUndefined()
      await close()
    })

    test(`AK-07: what was opened on ${engine} after the backup that was put back is over`, async () => {
      const { one, other, over, database, close } = await openTwo()
      await one.update('kept', { logLevel: 'error' }, now)
      await other.poll(now)
      await actWithin(database, everyTenant, async (act) => {
        await act.deleteFrom('sessions').where('session', '=', digestOf('ended')).execute()
        await act.updateTable('session_revision').set({ value: sql`value - 1` }).execute()
      })
      await other.poll(now)
      expect(over).toEqual(['ended'])
      await close()
    })
  }

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

  test('AK-07: what was used before the first poll, and ended elsewhere meanwhile, is over after it', async () => {
    const { one, other, over, close } = await two()
    await one.open(mine, wide, now)
    expect(await other.find('mine', mine.binding, now)).toBeDefined()
    await one.end('mine', mine.binding, now)
    await other.poll(now + 250)
    expect(over).toEqual(['mine'])
    expect(await other.find('mine', mine.binding, now + 251)).toBeUndefined()
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
