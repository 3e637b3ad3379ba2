import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ConfigInput } from '../../packages/merlon/src/config/schema.ts'
import { testRedis } from '../../packages/merlon/src/store/redis/test-redis.ts'
import { testPostgres } from '../../packages/merlon/src/store/sql/test-postgres.ts'
import { callPlainly } from '../chaos/callers.ts'
import { Ledger, Run } from '../chaos/ledger.ts'
import { ReplicaProcess } from '../chaos/replica-process.ts'
import { answerQuestions, countAloud } from '../chaos/streams.ts'
import { hearOfChanges } from './changes.ts'
import { ReadinessProxy } from './readiness-proxy.ts'

const postgres = await testPostgres()
const redis = await testRedis()
afterAll(async () => {
  if ('close' in postgres) await postgres.close()
  if ('close' in redis) await redis.close()
})

async function freePorts(count: number): Promise<readonly number[]> {
  const probes = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'))
  await Promise.all(probes.map((probe) => once(probe, 'listening')))
  const ports = probes.map((probe) => (probe.address() as { port: number }).port)
  await Promise.all(probes.map((probe) => once(probe.close(), 'close')))
  return ports
}

const settings = (port: number, publicPort: number): ConfigInput => ({
  name: 'rolling',
  server: { port, publicUrl: `http://127.0.0.1:${publicPort}`, drainDelayMs: 2_000 },
  admin: { listener: 'own', port: 0 },
  catalog: { folder: join(import.meta.dirname, '../chaos/project/src') },
  store: { databaseUrl: 'env:DATABASE_URL', redisUrl: 'env:REDIS_URL' },
  limits: { eventLoopDelayMsMax: 30_000 },
  rateLimit: { callsMax: 1_000_000_000, failuresMax: 1_000_000, rules: [] },
  log: { level: 'error' },
})

const without = 'reason' in postgres ? postgres.reason : 'reason' in redis ? redis.reason : undefined
if (without !== undefined || 'reason' in postgres || 'reason' in redis)
  describe.skip(`a rolling restart: ${without}`, () => undefined)
else {
  describe('three servers, stopped and started again one after the other', { timeout: 120_000 }, () => {
    let replicas: readonly ReplicaProcess[]
    let proxy: ReadinessProxy
    let key: string

    beforeAll(async () => {
      const [publicPort = 0, ...ports] = await freePorts(4)
      const env = {
        DATABASE_URL: await postgres.database(),
        REDIS_URL: redis.url,
        ENCRYPTION_KEY: randomBytes(32).toString('hex'),
      }
      const started: ReplicaProcess[] = []
      replicas = started
      for (const port of ports) started.push(await ReplicaProcess.start(settings(port, publicPort), env))
      proxy = await ReadinessProxy.open(ports, publicPort)
      await proxy.whenAllReady()
      const owner = await replicas[0]!.control.call('users.create', { body: { name: 'person', role: 'user' } })
      const made = { name: 'rolling', scopes: ['read', 'write'], owner: (owner.body as { id: string }).id }
      const { body } = await replicas[0]!.control.call('api-keys.create', { body: made })
      key = (body as { key: string }).key
    }, 120_000)
    afterAll(async () => {
      proxy?.close()
      await Promise.all((replicas ?? []).map((replica) => replica.close()))
    })

    /** Each in turn hears SIGTERM, ends with 0, is started again and takes calls before the next one's turn. */
    async function restartAll(): Promise<void> {
      for (const replica of replicas) {
        const code = await replica.stop()
        expect(code, replica.printed).toBe(0)
        await replica.restart()
        await proxy.whenAllReady()
      }
    }

    test('every call is answered with its result, every stream comes whole and once', async () => {
      const ledger = new Ledger()
      const run = new Run()
      const address = { port: proxy.port }
      const clients = [
        ...Array.from({ length: 4 }, () => callPlainly(address, key, ledger, run, 50)),
        ...Array.from({ length: 3 }, () => countAloud(address, key, ledger, run)),
        ...Array.from({ length: 1 }, () => answerQuestions(address, key, ledger, run)),
        ...Array.from({ length: 2 }, () => hearOfChanges(address, key, ledger, run)),
      ]
      await restartAll()
      run.stop()
      await Promise.all(clients)
      console.info(
        `${ledger.calls} calls, ${ledger.streams} streams of ${ledger.events} events, ${ledger.resumes} resumes, ` +
          `${ledger.questions} questions, ${ledger.changes} changes; refused ${ledger.refused}, unanswered ${ledger.unanswered}, orphans ${ledger.orphans}; ${ledger.notes}`,
      )
      expect(ledger.violations, replicas.map(({ printed }) => printed).join('\n---\n')).toEqual([])
      const { refused, unanswered, orphans, lost, twice } = ledger
      expect({ refused, unanswered, orphans, lost, twice }).toEqual({
        ...{ refused: 0, unanswered: 0, orphans: 0, lost: 0, twice: 0 },
      })
      expect(ledger.calls).toBeGreaterThan(100)
    })
  })
}
