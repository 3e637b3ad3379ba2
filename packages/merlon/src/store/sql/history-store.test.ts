import { createHmac, createSecretKey, randomBytes } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sql } from 'kysely'
import { afterAll, describe, expect, test, vi } from 'vitest'
import { Fault } from '../../errors.ts'
import { historyStoreContract } from '../../history/history-store.contract.ts'
import type { Missed } from '../../history/history-store.ts'
import { DataKeys } from '../../sealing/data-keys.ts'
import { SqlDataKeyStore } from './data-key-store.ts'
import { openDatabase, type SqlDatabase, type SqlTarget } from './database.ts'
import { type HistoryParts, SqlHistoryStore } from './history-store.ts'
import { testPostgres } from './test-postgres.ts'

const folder = mkdtempSync(join(tmpdir(), 'merlon-history-'))
const postgres = await testPostgres()
const root = createSecretKey(Buffer.alloc(32, 3))
const now = 1_800_000_000_000

afterAll(async () => {
  rmSync(folder, { recursive: true, force: true })
  if ('close' in postgres) await postgres.close()
}, 60_000)

const partsOver = (database: SqlDatabase, keys: DataKeys): HistoryParts => ({
  database,
  keys,
  digest: (id) => createHmac('sha256', 'test').update(id).digest(),
  random: randomBytes,
  bounds: { eventsMax: 1_000, historyMs: 60_000, bytesMax: 10_000_000 },
  onUnreadable: () => undefined,
})

const storeOver = (database: SqlDatabase, bounds: Partial<HistoryParts['bounds']> = {}) => {
  const unreadable: unknown[] = []
  const keys = new DataKeys({ store: new SqlDataKeyStore(database), root, random: randomBytes, clock: () => now })
  const parts = partsOver(database, keys)
  const store = new SqlHistoryStore({
    ...parts,
    bounds: { ...parts.bounds, ...bounds },
    onUnreadable: (what) => unreadable.push(what),
  })
  return { store, keys, unreadable }
}

const opening = (target: SqlTarget) => async (bounds: Partial<HistoryParts['bounds']>) => {
  const database = await openDatabase(target)
  return { ...storeOver(database, bounds), database, close: () => database.close() }
}

let files = 0
const onSqlite = () => opening({ file: join(folder, `history-${files++}.db`) })

historyStoreContract('sql on SQLite', (bounds) => onSqlite()(bounds))

if ('reason' in postgres) describe.skip(`the history store sql on PostgreSQL: ${postgres.reason}`, () => undefined)
else
  historyStoreContract(
    'sql on PostgreSQL',
    async (bounds) => opening({ databaseUrl: await postgres.database() })(bounds),
    'its own',
  )

const mine = { id: 'session-of-acme', tenant: 'acme' }
const theirs = { id: 'session-of-other', tenant: 'other' }
const message = '{"jsonrpc":"2.0","method":"notifications/message","params":{"data":"canary-9c1f"}}'
const texts = (missed: Missed | undefined) => missed?.events.map((event) => event.message)

describe('a sealed history', () => {
  test('SE-08: neither what was said nor the id of the session is in any file', async () => {
    const { store, close } = await onSqlite()({})
    await Promise.all(Array.from({ length: 20 }, () => store.append(mine, 1, message, now)))
    const file = `history-${files - 1}.db`
    const bytes = Buffer.concat(
      readdirSync(folder)
        .filter((name) => name.startsWith(file))
        .map((name) => readFileSync(join(folder, name))),
    )
    expect(bytes.length).toBeGreaterThan(10_000)
    for (const planted of ['canary-9c1f', 'session-of-acme']) {
      for (const encoding of ['utf8', 'base64', 'hex', 'utf16le'] as const) {
        const text =
          encoding === 'utf16le'
            ? Buffer.from(planted, 'utf16le')
            : Buffer.from(Buffer.from(planted).toString(encoding))
        expect(bytes.includes(text), `${planted} as ${encoding}`).toBe(false)
      }
    }
    await close()
  })

  test('is there after a restart', async () => {
    const file = join(folder, `history-${files++}.db`)
    const first = await opening({ file })({})
    const seq = await first.store.append(mine, 4, 'a', now)
    await first.store.append(mine, 4, 'b', now)
    await first.close()
    const second = await opening({ file })({})
    expect(texts(await second.store.after(mine, 4, seq, now))).toEqual(['b'])
    expect(await second.store.append(mine, 4, 'c', now)).toBe(seq + 2)
    await second.close()
  })

  const tampering: Readonly<Record<string, (database: SqlDatabase) => Promise<unknown>>> = {
    'one bit flipped': async ({ db }) => {
      const { sealed } = await db
        .selectFrom('history_events')
        .select('sealed')
        .where('seq', '=', 2)
        .where('tenant', '=', 'acme')
        .executeTakeFirstOrThrow()
      const altered = Buffer.from(sealed)
      altered[30]! ^= 1
      return db
        .updateTable('history_events')
        .set({ sealed: altered })
        .where('seq', '=', 2)
        .where('tenant', '=', 'acme')
        .execute()
    },
    'cut to a short tag': async ({ db }) => {
      const { sealed } = await db
        .selectFrom('history_events')
        .select('sealed')
        .where('seq', '=', 2)
        .where('tenant', '=', 'acme')
        .executeTakeFirstOrThrow()
      return db
        .updateTable('history_events')
        .set({ sealed: sealed.subarray(0, sealed.length - 12) })
        .where('seq', '=', 2)
        .where('tenant', '=', 'acme')
        .execute()
    },
    'the text of another place': ({ db }) =>
      sql`update history_events set sealed = (select sealed from history_events where seq = 3 and tenant = 'acme') where seq = 2 and tenant = 'acme'`.execute(
        db,
      ),
    'the text of another session': ({ db }) =>
      sql`update history_events set sealed = (select sealed from history_events where seq = 2 and tenant = 'other') where seq = 2 and tenant = 'acme'`.execute(
        db,
      ),
    'an event moved to another stream': ({ db }) =>
      sql`update history_events set stream = 1 where seq = 4 and tenant = 'acme'`.execute(db),
    'two events that changed places': async ({ db }) => {
      for (const [from, to] of [
        [2, 99],
        [3, 2],
        [99, 3],
      ])
        await sql`update history_events set seq = ${to} where seq = ${from} and tenant = 'acme'`.execute(db)
    },
    'an event of the other session moved here': async ({ db }) => {
      await sql`delete from history_events where seq = 2 and tenant = 'acme'`.execute(db)
      await sql`update history_events set session = (select session from histories where tenant = 'acme'), tenant = 'acme' where seq = 2 and tenant = 'other'`.execute(
        db,
      )
    },
    'another salt': ({ db }) => sql`update histories set salt = randomblob(16) where tenant = 'acme'`.execute(db),
    'a destroyed key': ({ db }) => sql`update data_keys set wrapped = x'' where tenant = 'acme'`.execute(db),
  }

  for (const [what, tamper] of Object.entries(tampering)) {
    test(`EV-06: ${what}: nothing of it is delivered, and it is told`, async () => {
      const { store, database, close } = await onSqlite()({})
      for (const text of ['a', 'b', 'c']) await store.append(mine, 1, text, now)
      await store.append(mine, 2, 'on another stream', now)
      for (const text of ['x', 'y', 'z']) await store.append(theirs, 1, text, now)
      await tamper(database)
      const reader = storeOver(database)
      expect(await reader.store.after(mine, 1, 1, now)).toBeUndefined()
      expect(reader.unreadable).toHaveLength(1)
      expect(reader.unreadable[0]).toMatchObject({ tenant: 'acme' })
      await close()
    })
  }

  test('who cannot be told what a stream answers, because the key is out of reach, does not hold it', async () => {
    const { store, database, close } = await onSqlite()({})
    const seq = await store.append(mine, 1, 'a', now, { opens: { producer: 'A', about: '{}' } })
    await store.leave(mine, 1, 0)
    const reader = storeOver(database)
    const outOfReach = new Fault('store.unavailable', { reason: 'keys' })
    vi.spyOn(reader.keys, 'opening').mockRejectedValueOnce(outOfReach)
    const claim = (at: typeof store, replica: string) => at.claim(mine, 1, seq, { reader: replica, waitedMs: 0 }, now)
    await expect(claim(reader.store, 'B')).rejects.toBe(outOfReach)
    expect(await claim(store, 'C')).toMatchObject({ outcome: 'held', claim: 2 })
    await close()
  })

  test('EV-08: nothing of a session is left when it is dropped', async () => {
    const { store, database, close } = await onSqlite()({})
    for (let at = 0; at < 5; at++) await store.append(mine, 1, `m${at}`, now - 120_000)
    await store.sweep(now)
    await store.append(mine, 1, 'young', now)
    await store.append(theirs, 1, 'of another', now)
    await store.drop(mine.id)
    for (const table of ['histories', 'history_streams', 'history_events'] as const) {
      const rows = await database.db.selectFrom(table).select('tenant').execute()
      expect(rows.filter(({ tenant }) => tenant === 'acme')).toEqual([])
    }
    expect(texts(await store.after(theirs, 1, 0, now))).toEqual(['of another'])
    await close()
  })

  test('EV-05: a session holds so many bytes, and says so where some are missing', async () => {
    const { store, close } = await onSqlite()({ bytesMax: 1_000 })
    const first = await store.append(mine, 1, 'x'.repeat(550), now)
    const second = await store.append(mine, 1, 'y'.repeat(550), now)
    expect(await store.sweep(now)).toBe(1)
    expect(await store.after(mine, 1, 0, now)).toBeUndefined()
    expect(texts(await store.after(mine, 1, first, now))).toEqual(['y'.repeat(550)])
    expect(texts(await store.after(mine, 1, second, now))).toEqual([])
    await close()
  })

  test('many appends at once share commits, and each is answered', async () => {
    const { store, close } = await onSqlite()({ eventsMax: 10_000 })
    const seqs = await Promise.all(Array.from({ length: 2_000 }, (_, at) => store.append(mine, at % 3, `m${at}`, now)))
    expect(new Set(seqs).size).toBe(2_000)
    expect(texts(await store.after(mine, 0, 0, now))).toHaveLength(667)
    await close()
  })

  test('what this replica would write after the others gave it up is refused, and nothing of it is kept', async () => {
    const { database, keys, store: other, close } = await onSqlite()({})
    const replicas = { self: 'A' }
    const alive = new Set(['A', 'A2'])
    const asked: string[] = []
    const fence = async (_act: unknown, writer: string) => {
      asked.push(writer)
      if (!alive.has(writer)) throw new Fault('store.unavailable', { reason: 'replica-dead' })
    }
    const store = new SqlHistoryStore({ ...partsOver(database, keys), writer: { replicas, fence } })
    const opens = { producer: 'A', about: '{}' }
    const first = await store.append(mine, 1, 'a', now, { opens })
    alive.delete('A')
    expect(await other.close(mine, 1, 'A', 'lost', now)).toBe(true)
    const dead = { code: 'store.unavailable', detail: { reason: 'replica-dead' } }
    await expect(store.append(mine, 1, 'b', now)).rejects.toMatchObject(dead)
    // Asked for under the former name, and not yet on its way when it has another.
    const late = [store.append(mine, 1, 'c', now), store.append(mine, 1, 'd', now)]
    replicas.self = 'A2'
    const fresh = store.append(mine, 2, 'e', now, { opens: { producer: 'A2', about: '{}' } })
    for (const each of late) await expect(each).rejects.toMatchObject(dead)
    await fresh
    expect(asked).toEqual(['A', 'A', 'A2'])
    expect(texts(await other.after(mine, 1, first, now))).toEqual(['lost'])
    expect(texts(await other.after(mine, 2, 0, now))).toEqual(['e'])
    await close()
  })

  test('what was appended before a stop is kept when it has settled', async () => {
    const { store, close } = await onSqlite()({})
    const appended = store.append(mine, 1, 'a', now)
    await store.settle()
    expect(texts(await store.after(mine, 1, 0, now))).toEqual(['a'])
    await appended
    await close()
  })

  test('an append that cannot be written is refused, and what follows is not', async () => {
    const { store, database, close } = await onSqlite()({})
    await store.append(mine, 1, 'a', now)
    await sql`create trigger full before insert on history_events begin select raise(abort, 'disk full'); end`.execute(
      database.db,
    )
    await expect(store.append(mine, 1, 'b', now)).rejects.toMatchObject({ code: 'store.unavailable' })
    await sql`drop trigger full`.execute(database.db)
    const seq = await store.append(mine, 1, 'c', now)
    expect(texts(await store.after(mine, 1, 1, now))).toEqual(['c'])
    expect(seq).toBe(2)
    await close()
  })
})
