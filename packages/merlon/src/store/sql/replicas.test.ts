import { sql } from 'kysely'
import { afterAll, describe, expect, test } from 'vitest'
import { openDatabase, type SqlDatabase } from './database.ts'
import { SqlReplicas, silentMsMax } from './replicas.ts'
import { actLightly } from './row-security.ts'
import { testPostgres } from './test-postgres.ts'

const postgres = await testPostgres()
afterAll(async () => {
  if ('close' in postgres) await postgres.close()
})

if ('reason' in postgres) describe.skip(`replicas on PostgreSQL: ${postgres.reason}`, () => undefined)
else {
  describe('replicas on PostgreSQL', () => {
    const clock = { now: 0 }
    const opening = async (count: number) => {
      const databaseUrl = await postgres.database()
      const databases: SqlDatabase[] = []
      const replicas: SqlReplicas[] = []
      for (let at = 0; at < count; at++) {
        const database = await openDatabase({ databaseUrl })
        databases.push(database)
        replicas.push(await SqlReplicas.open({ database, steadyClock: () => clock.now }))
      }
      const [database] = databases as [SqlDatabase]
      return {
        replicas,
        database,
        /** All have beaten for long enough to judge. */
        async steady() {
          for (let passed = 0; passed <= silentMsMax; passed += 500) {
            clock.now += 500
            for (const each of replicas) await each.beat()
          }
        },
        /** As if so much time had passed since this one beat. */
        silence: (id: string, ms: number) =>
          database.db
            .updateTable('replicas')
            .set({ seen_at: sql`seen_at - ${ms}` })
            .where('id', '=', id)
            .execute(),
        close: () => Promise.all(databases.map((each) => each.close())),
      }
    }

    test('each knows the others, and one that closes is gone at once', async () => {
      const { replicas, close } = await opening(3)
      const [a, b, c] = replicas as [SqlReplicas, SqlReplicas, SqlReplicas]
      expect(new Set(replicas.map(({ self }) => self)).size).toBe(3)
      for (const one of replicas) for (const other of replicas) expect(await one.isAlive(other.self)).toBe(true)
      await c.close()
      for (const one of [a, b]) expect(await one.isAlive(c.self)).toBe(false)
      expect(await a.isAlive('nobody')).toBe(false)
      await close()
    })

    test('one that was silent for too long is dead to all, and not a moment sooner', async () => {
      const { replicas, silence, steady, close } = await opening(2)
      const [a, b] = replicas as [SqlReplicas, SqlReplicas]
      await steady()
      await silence(b.self, silentMsMax / 2)
      expect(await a.isAlive(b.self)).toBe(true)
      await b.beat()
      await silence(b.self, silentMsMax + 1)
      expect(await a.isAlive(b.self)).toBe(false)
      await close()
    })

    test('who was silent too judges nobody: after an outage of the database all are alive', async () => {
      const { replicas, silence, steady, close } = await opening(2)
      const [a, b] = replicas as [SqlReplicas, SqlReplicas]
      await steady()
      clock.now += 60_000
      for (const { self } of [a, b]) await silence(self, 60_000)
      await a.beat()
      expect(await a.isAlive(b.self)).toBe(true)
      expect(await a.sweep()).toBe(0)
      await b.beat()
      await steady()
      for (const [one, other] of [
        [a, b],
        [b, a],
      ] as const)
        expect(await one.isAlive(other.self)).toBe(true)
      await close()
    })

    test('one that was declared dead finds out, cuts what it began, and goes on under a new name', async () => {
      const { replicas, silence, steady, close } = await opening(2)
      const [a, b] = replicas as [SqlReplicas, SqlReplicas]
      await steady()
      const former = b.self
      const cut: string[] = []
      b.onCut(() => cut.push(b.self))
      const stop = b.onCut(() => cut.push('stopped'))
      stop()
      await silence(former, silentMsMax + 1)
      expect(await a.isAlive(former)).toBe(false)
      await b.beat()
      expect(cut).toEqual([former])
      expect(b.self).not.toBe(former)
      expect([await a.isAlive(former), await b.isAlive(former)]).toEqual([false, false])
      expect(await a.isAlive(b.self)).toBe(true)
      await b.beat()
      expect(cut).toEqual([former])
      await close()
    })

    test('what the dead would write is refused within its own transaction, and wakes the one who tried', async () => {
      const { replicas, silence, steady, database, close } = await opening(2)
      const [a, b] = replicas as [SqlReplicas, SqlReplicas]
      await steady()
      const former = b.self
      const write = (writer: string) =>
        actLightly(database, async (act) => {
          await b.fence(act, writer)
          await act
            .insertInto('installation')
            .values({ name: `by ${writer}`, value: '' })
            .execute()
        })
      await write(former)
      await silence(former, silentMsMax + 1)
      await a.isAlive(former)
      const cut = new Promise<void>((resolve) => b.onCut(resolve))
      await expect(write(former)).rejects.toMatchObject({ code: 'store.unavailable' })
      // Nobody beats here but the fence.
      await cut
      await expect(write(former)).rejects.toMatchObject({ code: 'store.unavailable' })
      await expect.poll(() => b.self).not.toBe(former)
      await write(b.self)
      const rows = await database.db.selectFrom('installation').select('name').where('name', 'like', 'by %').execute()
      expect(rows).toHaveLength(2)
      await close()
    })

    test('nobody is declared dead while something of theirs is being written', async () => {
      const { replicas, silence, steady, database, close } = await opening(2)
      const [a, b] = replicas as [SqlReplicas, SqlReplicas]
      await steady()
      await silence(b.self, silentMsMax + 1)
      await actLightly(database, async (act) => {
        await b.fence(act, b.self)
        expect(await a.isAlive(b.self)).toBe(true)
        expect(await a.sweep()).toBe(0)
        // A sign of life does not wait for it either.
        await b.beat()
        await silence(b.self, silentMsMax + 1)
      })
      expect(await a.sweep()).toBe(1)
      expect(await a.isAlive(b.self)).toBe(false)
      await close()
    })

    test('many who ask at once agree', async () => {
      const { replicas, silence, steady, close } = await opening(4)
      const [dead, ...others] = replicas as [SqlReplicas, ...SqlReplicas[]]
      await steady()
      await silence(dead.self, silentMsMax + 1)
      const asked = await Promise.all([...others, ...others].map((each) => each.isAlive(dead.self)))
      // Whoever met another's declaration half way may still see it; nobody does after.
      expect(asked).toContain(false)
      expect(await Promise.all(others.map((each) => each.isAlive(dead.self)))).toEqual(others.map(() => false))
      await close()
    })
  })
}
