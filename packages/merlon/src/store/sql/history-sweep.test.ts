import { createHmac, createSecretKey, randomBytes } from 'node:crypto'
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest'
import { everyTenant } from '../../identity/reach.ts'
import { DataKeys } from '../../sealing/data-keys.ts'
import { SqlDataKeyStore } from './data-key-store.ts'
import { openDatabase, type SqlDatabase } from './database.ts'
import { SqlHistoryStore } from './history-store.ts'
import { type HistoryBounds, sweepHistories } from './history-sweep.ts'
import { actWithin } from './row-security.ts'
import { testPostgres, untilOneWaits } from './test-postgres.ts'

const postgres = await testPostgres()
const root = createSecretKey(Buffer.alloc(32, 3))
const now = 1_800_000_000_000
const owner = { id: 's', tenant: 'acme' }
const other = { id: 't', tenant: 'acme' }
const bounds: HistoryBounds = { eventsMax: 1_000, historyMs: 60_000, bytesMax: 1_000_000 }

afterAll(async () => {
  if ('close' in postgres) await postgres.close()
}, 60_000)

if ('reason' in postgres) describe.skip(`sweeps of two replicas: ${postgres.reason}`, () => undefined)
else
  describe('sweeps of two replicas at once', () => {
    let database: SqlDatabase
    let beside: SqlDatabase
    let store: SqlHistoryStore

    beforeEach(async () => {
      const databaseUrl = await postgres.database()
      database = await openDatabase({ databaseUrl })
      beside = await openDatabase({ databaseUrl, waitMs: 60_000 })
      const keys = new DataKeys({ store: new SqlDataKeyStore(database), root, random: randomBytes, clock: () => now })
      store = new SqlHistoryStore({
        ...{ database, keys, bounds, random: randomBytes },
        digest: (id) => createHmac('sha256', 'test').update(id).digest(),
        onUnreadable: () => undefined,
      })
    }, 30_000)
    afterEach(async () => {
      await beside.close()
      await database.close()
    })

    test('EV-05: the one that saw less takes back nothing of what the other said is lost', async () => {
      for (let at = 1; at <= 20; at++) await store.append(owner, 1, `m${at}`, now + at)
      let second: Promise<number> | undefined
      await actWithin(database, everyTenant, async (act) => {
        expect(await sweepHistories(act, 'postgres', bounds, now + 60_015)).toBe(15)
        // The clock of the other one is behind: it has found ten of them.
        second = actWithin(beside, everyTenant, (late) => sweepHistories(late, 'postgres', bounds, now + 60_010))
        await untilOneWaits(database.db)
      })
      expect(await second).toBe(0)
      expect(await store.after(owner, 1, 12, now + 60_015)).toBeUndefined()
      expect((await store.after(owner, 1, 15, now + 60_015))?.events).toHaveLength(5)
    }, 60_000)

    test('what is dropped while a sweep waits for it is left out, and the rest is swept', async () => {
      for (const of of [owner, other]) await store.append(of, 1, 'old', now)
      let sweep: Promise<number> | undefined
      await actWithin(database, everyTenant, async (act) => {
        const dropped = createHmac('sha256', 'test').update(owner.id).digest()
        await act.deleteFrom('histories').where('session', '=', dropped).execute()
        sweep = actWithin(beside, everyTenant, (late) => sweepHistories(late, 'postgres', bounds, now + 60_000))
        await untilOneWaits(database.db)
      })
      expect(await sweep).toBe(1)
      expect(await store.after(other, 1, 0, now + 60_000)).toBeUndefined()
    }, 60_000)
  })
