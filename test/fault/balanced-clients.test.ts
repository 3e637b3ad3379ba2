import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { testPostgres } from '../../packages/merlon/src/store/sql/test-postgres.ts'
import { type Connection, nothingReceived, type Received } from '../client/connection.ts'
import { connectV1 } from '../client/sdk-v1.ts'
import { connectV2 } from '../client/sdk-v2.ts'
import { type Cluster, startCluster } from './cluster.ts'
import { RoundRobin } from './round-robin.ts'

const postgres = await testPostgres()
afterAll(async () => {
  if ('close' in postgres) await postgres.close()
})

const clients = [
  { client: 'SDK v1', connect: connectV1, revision: '2025-11-25' },
  { client: 'SDK v2, legacy', connect: connectV2('legacy'), revision: '2025-11-25' },
  { client: 'SDK v2, pinned', connect: connectV2({ pin: '2026-07-28' }), revision: '2026-07-28' },
]

if ('reason' in postgres) describe.skip(`clients behind a balancer: ${postgres.reason}`, () => undefined)
else {
  describe('behind a balancer that sends each request to another of three servers', { timeout: 180_000 }, () => {
    let cluster: Cluster
    let balancer: RoundRobin

    beforeAll(async () => {
      cluster = await startCluster(3, { DATABASE_URL: await postgres.database() })
      balancer = await RoundRobin.open(cluster.servers)
    }, 180_000)
    afterAll(async () => {
      balancer?.close()
      await cluster?.close()
    }, 180_000)

    describe.each(clients)('$client', ({ connect, revision }) => {
      let connection: Connection
      let received: Received
      beforeEach(async () => {
        received = nothingReceived()
        connection = await connect(balancer.url, cluster.key, received)
      })
      afterEach(() => connection.close())

      test('settles on a revision, and calls with progress', async () => {
        expect(connection.revision).toBe(revision)
        const before = [...balancer.served]
        for (let times = 0; times < 3; times++) {
          const heard: number[] = []
          const { text } = await connection.call(
            'count',
            { to: 3 },
            { onProgress: ({ progress }) => heard.push(progress) },
          )
          expect([text, heard]).toEqual(['counted to 3', [1, 2, 3]])
        }
        expect(balancer.served.every((count, at) => count > before[at]!)).toBe(true)
      })

      test('answers for its user, its model and its roots', async () => {
        expect(await connection.call('ask')).toMatchObject({ text: 'The user likes blue.' })
        expect(await connection.call('think', { about: 'Is it so?' })).toMatchObject({
          text: 'a-model: {"type":"text","text":"yes"}',
        })
        expect(await connection.call('roots')).toMatchObject({ text: 'file:///a/root' })
        expect([received.asked, received.sampled]).toEqual([['Which color?'], [{ type: 'text', text: 'Is it so?' }]])
      })

      test('hears that a list and a resource have changed', async () => {
        await connection.watch('note://today')
        await connection.call('touch')
        expect(await received.resourceUpdated.promise).toBe('note://today')
        await received.toolsChanged.promise
      })
    })
  })
}
