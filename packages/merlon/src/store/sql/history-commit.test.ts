import { createHmac, createSecretKey, randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sql } from 'kysely'
import { afterAll, describe, expect, test } from 'vitest'
import { Fault } from '../../errors.ts'
import type { DataKeyStore, WrappedKey } from '../../sealing/data-key-store.ts'
import { DataKeys } from '../../sealing/data-keys.ts'
import { SqlDataKeyStore } from './data-key-store.ts'
import { openDatabase, type SqlDatabase, type SqlTarget } from './database.ts'
import { SqlHistoryStore } from './history-store.ts'
import { testPostgres } from './test-postgres.ts'

const folder = mkdtempSync(join(tmpdir(), 'merlon-history-commit-'))
const postgres = await testPostgres()
const root = createSecretKey(Buffer.alloc(32, 3))
const now = 1_800_000_000_000
const owner = { id: 's', tenant: 'acme' }

afterAll(async () => {
  rmSync(folder, { recursive: true, force: true })
  if ('close' in postgres) await postgres.close()
}, 60_000)

const storeOver = (database: SqlDatabase, keys: DataKeyStore = new SqlDataKeyStore(database)) =>
  new SqlHistoryStore({
    database,
    keys: new DataKeys({ store: keys, root, random: randomBytes, clock: () => now }),
    digest: (id) => createHmac('sha256', 'test').update(id).digest(),
    random: randomBytes,
    bounds: { eventsMax: 1_000, historyMs: 60_000, bytesMax: 1_000_000 },
    onUnreadable: () => undefined,
  })

function commitsOn(name: string, open: () => Promise<SqlTarget>) {
  describe(`a commit of many on ${name}`, () => {
    test('of one tenant whose key cannot be had fails for it alone, and asks for it once', async () => {
      const database = await openDatabase(await open())
      const keys = new SqlDataKeyStore(database)
      const asked: string[] = []
      const failing = Object.assign(Object.create(keys) as DataKeyStore, {
        claim(fresh: WrappedKey) {
          asked.push(fresh.tenant)
          return fresh.tenant === 'x' ? Promise.reject(new Error('this key is not usable')) : keys.claim(fresh)
        },
      })
      const store = storeOver(database, failing)
      const ids = ['x1', 'y1', 'x2', 'y2', 'x1']
      const outcomes = await Promise.allSettled(
        ids.map((id) => store.append({ id, tenant: id.charAt(0) }, 1, `of ${id}`, now)),
      )
      expect(outcomes.map(({ status }) => status)).toEqual([
        'rejected',
        'fulfilled',
        'rejected',
        'fulfilled',
        'rejected',
      ])
      for (const outcome of outcomes)
        if (outcome.status === 'rejected') {
          expect(outcome.reason).toBeInstanceOf(Fault)
          expect(outcome.reason).toMatchObject({ code: 'store.unavailable' })
        }
      expect(asked.filter((tenant) => tenant === 'x')).toHaveLength(1)
      for (const id of ['y1', 'y2'])
        expect((await store.after({ id, tenant: 'y' }, 1, 0, now))?.events).toMatchObject([{ message: `of ${id}` }])
      // What follows is not held up by it.
      await store.append({ id: 'y1', tenant: 'y' }, 1, 'more', now)
      await database.close()
    }, 30_000)
  })
}

commitsOn('SQLite', async () => ({ file: join(folder, 'commit.db') }))
if ('reason' in postgres) describe.skip(`commits on PostgreSQL: ${postgres.reason}`, () => undefined)
else {
  commitsOn('PostgreSQL', async () => ({ databaseUrl: await postgres.database() }))

  describe('a commit that PostgreSQL undid', () => {
    /** From here on the first `times` inserts fail like this. A sequence counts on, whatever is undone. */
    const failing = async (database: SqlDatabase, state: string, times: number) => {
      const run = (text: string) => sql.raw(text).execute(database.db)
      await run('create sequence tries')
      await run(`create function fail() returns trigger language plpgsql as $$ begin
        if nextval('tries') <= ${times} then raise exception 'undone' using errcode = '${state}'; end if;
        return new;
      end $$`)
      await run('create trigger failing before insert on history_events for each row execute function fail()')
    }
    const tries = async (database: SqlDatabase) =>
      (await sql<{ last: number }>`select last_value as last from tries`.execute(database.db)).rows[0]?.last

    for (const [state, what] of [
      ['40P01', 'for a deadlock'],
      ['40001', 'for a conflict'],
      ['55P03', 'for a lock that was not to be had'],
    ] as const) {
      test(`${what} is done once more, and no event is there twice`, async () => {
        const database = await openDatabase({ databaseUrl: await postgres.database() })
        await failing(database, state, 1)
        const store = storeOver(database)
        const kept = await Promise.all(['a', 'b'].map((text) => store.append(owner, 1, text, now)))
        expect(kept).toEqual([1, 2])
        expect((await store.after(owner, 1, 0, now))?.events.map(({ message }) => message)).toEqual(['a', 'b'])
        await database.close()
      }, 30_000)
    }

    test('is done no third time', async () => {
      const database = await openDatabase({ databaseUrl: await postgres.database() })
      await failing(database, '40P01', 2)
      const store = storeOver(database)
      await expect(store.append(owner, 1, 'a', now)).rejects.toMatchObject({ code: 'store.unavailable' })
      expect(await tries(database)).toBe(2)
      expect(await store.append(owner, 1, 'b', now)).toBe(1)
      await database.close()
    }, 30_000)

    test('for any other reason is not done again', async () => {
      const database = await openDatabase({ databaseUrl: await postgres.database() })
      await failing(database, '57014', 1)
      const store = storeOver(database)
      await expect(store.append(owner, 1, 'a', now)).rejects.toMatchObject({ code: 'store.unavailable' })
      expect(await tries(database)).toBe(1)
      await database.close()
    }, 30_000)
  })
}
