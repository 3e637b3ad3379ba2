import pg from 'pg'
import { afterAll, describe, expect, test } from 'vitest'
import { busContract } from '../../replica/bus.contract.ts'
import { PostgresBus } from './bus.ts'
import { testPostgres } from './test-postgres.ts'

const postgres = await testPostgres()
afterAll(async () => {
  if ('close' in postgres) await postgres.close()
})

if ('reason' in postgres) describe.skip(`the bus on PostgreSQL: ${postgres.reason}`, () => undefined)
else {
  const opening = async () => {
    const url = await postgres.database()
    const [bus, other] = [new PostgresBus(url), new PostgresBus(url)]
    for (const each of [bus, other]) await each.probe()
    return { url, bus, other, close: async () => void (await Promise.all([bus.close(), other.close()])) }
  }
  busContract('on PostgreSQL', opening)

  describe('the bus on PostgreSQL, broken', () => {
    test('a connection that was cut is found out, and made again', async () => {
      const { url, bus, other, close } = await opening()
      const heard: string[] = []
      other.onWake((text) => heard.push(text))
      const client = new pg.Client({ connectionString: url })
      await client.connect()
      await client.query(
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'merlon wakes' and datname = current_database()",
      )
      await client.end()
      // Dropped, and no more than that.
      bus.wake('lost')
      await expect
        .poll(async () => {
          await Promise.allSettled([bus.probe(), other.probe()])
          bus.wake('again')
          return heard
        })
        .toContain('again')
      await close()
    })

    test('out of reach it says so, and says nothing of the password', async () => {
      const bus = new PostgresBus('postgres://merlon:canary-password@127.0.0.1:1/merlon')
      const thrown = await bus.probe().then(
        () => undefined,
        (error: unknown) => error as Error,
      )
      expect(thrown).toMatchObject({ code: 'store.unavailable', cause: { message: 'PostgreSQL: ECONNREFUSED' } })
      expect(JSON.stringify([thrown, thrown?.stack, (thrown?.cause as Error | undefined)?.stack])).not.toContain(
        'canary',
      )
      bus.wake('mail')
      await bus.close()
    })

    test('closed while it connects, it leaves no connection behind', async () => {
      const url = await postgres.database()
      const bus = new PostgresBus(url)
      const probing = bus.probe()
      await bus.close()
      await probing
      const client = new pg.Client({ connectionString: url })
      await client.connect()
      const left = async () =>
        (
          await client.query(
            "select 1 from pg_stat_activity where application_name = 'merlon wakes' and datname = current_database()",
          )
        ).rowCount
      await expect.poll(left).toBe(0)
      await client.end()
    })
  })
}
