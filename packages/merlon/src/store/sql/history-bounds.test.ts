import { createHmac, createSecretKey, randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type KyselyPlugin, sql } from 'kysely'
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest'
import { everyTenant } from '../../identity/reach.ts'
import type { DataKeyStore } from '../../sealing/data-key-store.ts'
import { DataKeys } from '../../sealing/data-keys.ts'
import { SqlDataKeyStore } from './data-key-store.ts'
import { openDatabase, type SqlDatabase, type SqlTarget } from './database.ts'
import { SqlHistoryStore } from './history-store.ts'
import type { HistoryBounds } from './history-sweep.ts'
import { readWithin } from './row-security.ts'
import { testPostgres } from './test-postgres.ts'

const folder = mkdtempSync(join(tmpdir(), 'merlon-history-bounds-'))
const postgres = await testPostgres()
const root = createSecretKey(Buffer.alloc(32, 3))
const now = 1_800_000_000_000
const owner = { id: 's', tenant: 'acme' }
const wide: HistoryBounds = { eventsMax: 1_000_000, historyMs: 60_000, bytesMax: 1_000_000_000 }
const narrow: HistoryBounds = { ...wide, eventsMax: 1_000 }

afterAll(async () => {
  rmSync(folder, { recursive: true, force: true })
  if ('close' in postgres) await postgres.close()
}, 60_000)

/** What goes over a connection: the statements asked for, and the sealed bytes that come back. */
class Traffic implements KyselyPlugin {
  readonly statements: number[] = []
  sealedBytes = 0

  transformQuery({ node }: Parameters<KyselyPlugin['transformQuery']>[0]) {
    return node
  }

  async transformResult({ result }: Parameters<KyselyPlugin['transformResult']>[0]) {
    this.statements.push(result.rows.length)
    for (const row of result.rows) if (row['sealed'] instanceof Uint8Array) this.sealedBytes += row['sealed'].length
    return result
  }
}

const keysOver = (store: DataKeyStore) => new DataKeys({ store, root, random: randomBytes, clock: () => now })

const storeOver = (database: SqlDatabase, bounds: HistoryBounds, keys = keysOver(new SqlDataKeyStore(database))) =>
  new SqlHistoryStore({
    ...{ database, keys, bounds, random: randomBytes },
    digest: (id) => createHmac('sha256', 'test').update(id).digest(),
    onUnreadable: () => undefined,
  })

const appendMany = (store: SqlHistoryStore, count: number, text: (at: number) => string, stream = 1, of = owner) =>
  Promise.all(Array.from({ length: count }, (_, at) => store.append(of, stream, text(at), now)))

const rowsOf = (database: SqlDatabase) =>
  readWithin(database, everyTenant, (db) =>
    db
      .selectFrom('history_events')
      .select(({ fn }) => [
        fn.countAll<number>().as('count'),
        sql<number>`coalesce(sum(length(sealed)), 0)`.as('bytes'),
      ])
      .executeTakeFirstOrThrow(),
  )

function boundsOn(name: string, open: () => Promise<SqlTarget>) {
  describe(`the bounds of a history on ${name}`, () => {
    let database: SqlDatabase

    beforeEach(async () => {
      database = await openDatabase(await open())
    }, 30_000)
    afterEach(() => database.close())

    test('EV-05, RL-17: whoever adds faster than sweeps come is held to so many events', async () => {
      const store = storeOver(database, narrow)
      const seqs = await appendMany(store, 5_000, (at) => `m${at}`)
      // What is there before it is noticed: the bound, a quarter more, and one commit.
      expect((await rowsOf(database)).count).toBeLessThanOrEqual(2_750)
      expect(await store.after(owner, 1, seqs[0]!, now)).toBeUndefined()
      expect(await store.after(owner, 1, seqs[3_998]!, now)).toBeUndefined()
      expect((await store.after(owner, 1, seqs[3_999]!, now))?.events.map(({ message }) => message)).toEqual(
        Array.from({ length: 1_000 }, (_, at) => `m${4_000 + at}`),
      )
    }, 60_000)

    test('EV-05, RL-17: and to so many bytes', async () => {
      const store = storeOver(database, { ...wide, bytesMax: 100_000 })
      const seqs: number[] = []
      for (let at = 0; at < 100; at++) seqs.push(await store.append(owner, 1, 'x'.repeat(10_000), now))
      expect((await rowsOf(database)).bytes).toBeLessThanOrEqual(240_000)
      expect(await store.after(owner, 1, seqs[0]!, now)).toBeUndefined()
      expect((await store.after(owner, 1, seqs[90]!, now))?.events).toHaveLength(9)
    }, 60_000)

    test('EV-05: where many streams were trimmed, each knows what it has lost, and one that goes on is whole', async () => {
      const store = storeOver(database, { ...wide, eventsMax: 100 })
      const opens = { producer: 'A', about: '{}' }
      const quiet = await store.append(owner, 1, 'quiet', now, { opens })
      const lone = await store.append(owner, 2, 'lone', now, { opens })
      await store.append(owner, 2, 'lost', now)
      await Promise.all(
        Array.from({ length: 400 }, (_, at) => store.append(owner, 3 + at, 'x', now, { opens, ends: true })),
      )
      expect((await rowsOf(database)).count).toBeLessThanOrEqual(264)
      expect(await store.after(owner, 1, 0, now)).toBeUndefined()
      expect(await store.after(owner, 2, lone, now)).toBeUndefined()
      expect(await store.after(owner, 1, quiet, now)).toMatchObject({ events: [], producer: 'A', ended: false })
      const again = await store.append(owner, 1, 'again', now)
      expect(await store.after(owner, 1, quiet, now)).toMatchObject({ events: [{ seq: again, message: 'again' }] })
    }, 60_000)

    test('RL-17: what is beyond the bounds, by number or by bytes, is not fetched to say so', async () => {
      const writing = storeOver(database, wide)
      const seqs = await appendMany(writing, 1_500, (at) => `m${at}`)
      const traffic = new Traffic()
      const watched = { ...database, db: database.db.withPlugin(traffic) }
      const read = async (bounds: HistoryBounds, seq: number) => {
        traffic.sealedBytes = 0
        const missed = await storeOver(watched, bounds, keysOver(new SqlDataKeyStore(database))).after(
          owner,
          1,
          seq,
          now,
        )
        return { count: missed?.events.length, bytes: traffic.sealedBytes }
      }
      expect(await read(narrow, 0)).toEqual({ count: undefined, bytes: 0 })
      expect(await read(narrow, seqs[498]!)).toEqual({ count: undefined, bytes: 0 })
      expect(await read({ ...wide, bytesMax: 50_000 }, 0)).toEqual({ count: undefined, bytes: 0 })
      const whole = await read(narrow, seqs[499]!)
      expect(whole.count).toBe(1_000)
      expect(await read({ ...wide, bytesMax: whole.bytes }, seqs[499]!)).toEqual(whole)
      expect(await read({ ...wide, bytesMax: whole.bytes - 1 }, seqs[499]!)).toEqual({ count: undefined, bytes: 0 })
    }, 60_000)

    test('while a history is far from its bounds, none of its commits asks anything more', async () => {
      const traffic = new Traffic()
      const watched = { ...database, db: database.db.withPlugin(traffic) }
      const store = storeOver(watched, narrow, keysOver(new SqlDataKeyStore(database)))
      await store.append(owner, 1, 'first', now)
      const costs = new Set<number>()
      for (let at = 0; at < 200; at++) {
        traffic.statements.length = 0
        await store.append(owner, 1, 'next', now)
        costs.add(traffic.statements.length)
      }
      // Its place and its row, within what makes an act of them: the marks of durability, or of the tenant.
      expect([...costs]).toEqual([database.engine === 'sqlite' ? 4 : 3])
    }, 60_000)
  })
}

let files = 0
boundsOn('SQLite', async () => ({ file: join(folder, `bounds-${files++}.db`) }))
if ('reason' in postgres) describe.skip(`history on PostgreSQL: ${postgres.reason}`, () => undefined)
else boundsOn('PostgreSQL', async () => ({ databaseUrl: await postgres.database() }))
