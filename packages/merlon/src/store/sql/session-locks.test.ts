import { createHmac, createSecretKey, randomBytes } from 'node:crypto'
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest'
import { everyTenant } from '../../identity/reach.ts'
import { DataKeys } from '../../sealing/data-keys.ts'
import type { Session } from '../../session/session-store.ts'
import { SqlDataKeyStore } from './data-key-store.ts'
import { openDatabase, type SqlDatabase } from './database.ts'
import { SqlHistoryStore } from './history-store.ts'
import { actWithin } from './row-security.ts'
import type { Act } from './session-acts.ts'
import { SqlSessionStore } from './session-store.ts'
import { testPostgres, untilOneWaits } from './test-postgres.ts'

/*
 * In which order rows are taken by whoever takes many: while one of them is held, those that come later in the order are free,
 * so nobody who takes them in the same order ever waits for one that waits for them.
 */

const postgres = await testPostgres()
const root = createSecretKey(Buffer.alloc(32, 3))
const now = 1_800_000_000_000
const idleMs = 60_000
const caps = { perPrincipal: 100, perTenant: 100, total: 100 }
const digest = (text: string) => createHmac('sha256', 'test').update(text).digest()
/** In the order of their digests. */
const ids = ['a', 'b', 'c'].sort((one, other) => Buffer.compare(digest(one), digest(other)))

afterAll(async () => {
  if ('close' in postgres) await postgres.close()
}, 60_000)

if ('reason' in postgres) describe.skip(`the order of rows on PostgreSQL: ${postgres.reason}`, () => undefined)
else
  describe('many sessions at once', () => {
    let database: SqlDatabase
    let beside: SqlDatabase
    let sessions: SqlSessionStore

    beforeEach(async () => {
      const databaseUrl = await postgres.database()
      database = await openDatabase({ databaseUrl, waitMs: 60_000 })
      beside = await openDatabase({ databaseUrl })
      const keys = new DataKeys({ store: new SqlDataKeyStore(database), root, random: randomBytes, clock: () => now })
      const parts = { database, keys, digest, random: randomBytes, onUnreadable: () => undefined }
      sessions = new SqlSessionStore({ ...parts, idleMs, shared: false })
      const bounds = { eventsMax: 100, historyMs: 60_000, bytesMax: 1_000_000 }
      const history = new SqlHistoryStore({ ...parts, bounds })
      // Against the order.
      for (const id of [...ids].reverse()) {
        await sessions.open(sessionOf(id), caps, now)
        await history.append({ id, tenant: 'acme' }, 1, 'a', now)
      }
    }, 30_000)
    afterEach(async () => {
      await beside.close()
      await database.close()
    })

    const sessionOf = (id: string): Session => ({
      ...{ id, tenant: 'acme', binding: 'alice', principal: 'usr_alice', credential: 'key_alice' },
      ...{ version: '2025-11-25', openedAt: now, expiresAt: now + 600_000, logLevel: undefined },
      client: { name: 'client', version: '1', capabilities: {} },
      subscriptions: new Set(),
    })

    const take = (act: Act, table: 'histories' | 'sessions', id: string) =>
      act.selectFrom(table).select('session').where('session', '=', digest(id)).forUpdate().noWait().execute()

    /** Which of these rows somebody holds. */
    const held = async (table: 'histories' | 'sessions') => {
      const found: string[] = []
      for (const id of ids) {
        try {
          await actWithin(beside, everyTenant, (act) => take(act, table, id))
        } catch (cause) {
          expect(cause).toMatchObject({ code: '55P03' })
          found.push(id)
        }
      }
      return found
    }

    /** Runs an act while somebody has this row, and answers who holds what once it waits for it. */
    const whileHeld = async <T>(
      table: 'histories' | 'sessions',
      id: string,
      begin: () => Promise<T>,
      meanwhile?: (act: Act) => Promise<unknown>,
    ) => {
      const seen = await actWithin(beside, everyTenant, async (act) => {
        await take(act, table, id)
        const running = begin()
        await untilOneWaits(beside.db)
        const rows = { histories: await held('histories'), sessions: await held('sessions') }
        await meanwhile?.(act)
        return { running, ...rows }
      })
      return { ...seen, answer: await seen.running }
    }

    const sweep = () => sessions.sweep(now + idleMs)

    test('are dropped as commits go: the rows of histories first, and those in order', async () => {
      const first = await whileHeld('histories', ids[0]!, sweep)
      expect(first).toMatchObject({ histories: [ids[0]], sessions: [], answer: 3 })
    }, 60_000)

    test('are dropped in order once all their histories are held', async () => {
      const last = await whileHeld('sessions', ids[1]!, sweep)
      expect(last).toMatchObject({ histories: ids, sessions: [ids[0], ids[1]], answer: 3 })
    }, 60_000)

    test('which were used meanwhile are not dropped', async () => {
      const used = digest(ids[1]!)
      const swept = await whileHeld('sessions', ids[1]!, sweep, (act) =>
        act
          .updateTable('sessions')
          .set({ used_at: now + 1 })
          .where('session', '=', used)
          .execute(),
      )
      expect(swept.answer).toBe(2)
      expect(await sessions.count(now + idleMs)).toBe(1)
    }, 60_000)

    test('are noted as used in order, whoever was used first', async () => {
      for (const id of [...ids].reverse()) await sessions.find(id, 'alice', now + 1)
      const noted = await whileHeld('sessions', ids[0]!, () => sessions.flush())
      expect(noted).toMatchObject({ sessions: [ids[0]] })
    }, 60_000)
  })
