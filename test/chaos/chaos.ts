import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import type { ConfigInput } from '../../packages/merlon/src/config/schema.ts'
import { startRedis } from '../../packages/merlon/src/store/redis/test-redis.ts'
import { call } from '../attack/request.ts'
import { plainDatabase, startPostgres } from '../postgres.ts'
import { Balancer } from './balancer.ts'
import { callAsStranger, callPlainly, comeAndGo, revokedWithinMs, takeBack } from './callers.ts'
import { ask, inSession } from './client.ts'
import { Ledger, Run } from './ledger.ts'
import { breakThings, type Outages } from './outages.ts'
import { ReplicaProcess } from './replica-process.ts'
import { answerQuestions, countAloud } from './streams.ts'

export interface Chaos {
  readonly kills: number
  readonly seed: number
  readonly replicas?: number
}

export interface Outcome {
  readonly ledger: Ledger
  readonly outages: Outages
  /** How long the load ran. */
  readonly ms: number
  /** Calls of all kinds that were answered as they should be. */
  readonly callsPerSecond: number
}

/** Who loads the servers, and how much: together some 240 calls a second where nothing is broken. */
const load = { callers: 16, everyMs: 70, counters: 10, askers: 3, comers: 2, strangers: 2 }

function settings(balancerPort: number): ConfigInput {
  return {
    name: 'chaos',
    server: { port: 0, publicUrl: `http://127.0.0.1:${balancerPort}` },
    admin: { port: 0 },
    catalog: { folder: join(import.meta.dirname, 'project/src') },
    store: { databaseUrl: 'env:DATABASE_URL', redisUrl: 'env:REDIS_URL' },
    resumability: { eventsMax: 100_000 },
    // A machine that runs all of this on two cores is slow at times.
    limits: { eventLoopDelayMsMax: 30_000 },
    rateLimit: { callsMax: 1_000_000_000, failuresMax: 1_000_000, rules: [] },
    log: { level: 'error' },
  }
}

/** Loads several servers on one PostgreSQL and one Redis, behind one address, while they are killed one after another. */
export async function chaos({ kills, seed, replicas: count = 3 }: Chaos): Promise<Outcome> {
  const closing: (() => Promise<unknown> | unknown)[] = []
  try {
    const postgres = await startPostgres()
    closing.push(() => postgres.close())
    const redis = await startRedis()
    closing.push(() => redis.close())
    const replicas: ReplicaProcess[] = []
    const balancer = await Balancer.open(() => replicas.map(({ port }) => port))
    closing.push(() => balancer.close())
    const env = {
      DATABASE_URL: await plainDatabase(postgres.url),
      REDIS_URL: redis.url,
      ENCRYPTION_KEY: randomBytes(32).toString('hex'),
    }
    const ledger = new Ledger()
    for (let at = 0; at < count; at++) {
      const replica = await ReplicaProcess.start(settings(balancer.port), env, (how) => ledger.violation(how))
      closing.push(() => replica.close())
      replicas.push(replica)
    }
    const keys = keysOf(replicas)
    await keys.enrol()

    const run = new Run()
    const address = { port: balancer.port }
    const [one, other] = [await keys.make('a'), await keys.make('b')]
    const both = (at: number) => (at % 2 === 0 ? one : other).text
    const revoked = await keys.make('a')
    await keys.revoke(revoked.id)
    await wait(revokedWithinMs)
    const none = [
      undefined,
      revoked.text,
      `${one.text.slice(0, -1)}${one.text.endsWith('x') ? 'y' : 'x'}`,
      'constructor',
    ]
    const each = <T>(times: number, work: (at: number) => Promise<T>) =>
      Array.from({ length: times }, (_, at) => work(at))

    const started = performance.now()
    const clients = [
      ...each(load.callers, (at) => callPlainly(address, both(at), ledger, run, load.everyMs)),
      ...each(load.counters, (at) => countAloud(address, both(at), ledger, run)),
      ...each(load.askers, (at) => answerQuestions(address, both(at), ledger, run)),
      ...each(load.strangers, () => callAsStranger(address, none, ledger, run)),
    ]
    const coming = each(load.comers, (at) => comeAndGo(address, both(at), ledger, run))
    const taking = takeBack(address, { make: () => keys.make('b'), revoke: keys.revoke }, ledger, run)
    const outages = await breakThings({ replicas, redis, postgres }, kills, seed, ledger, run)
    // What was begun while things broke is given the time to end well.
    await run.wait(3_000)
    run.stop()
    const ms = performance.now() - started
    const { calls, questions, changes, strangers, sessions, ended: endings } = ledger
    const callsPerSecond = (calls + questions + changes + strangers + sessions + endings) / (ms / 1_000)
    const ended = (await Promise.all(coming)).flat()
    const gone = await taking
    await Promise.all(clients)

    for (const { port } of replicas) {
      for (const session of ended.slice(-200)) {
        const answer = await ask({ port }, inSession(session, 'ping', {}, 1), session.key, ledger)
        if (answer?.status !== 404) ledger.violation(`a session that was ended is answered with ${answer?.status}`)
      }
      for (const key of [...gone, revoked.text]) {
        const answer = await ask({ port }, call('tools/list'), key, ledger)
        ledger.strangers++
        if (answer?.status === 401) continue
        ledger.admitted++
        ledger.violation(`a key that was taken back is answered with ${answer?.status}`)
      }
    }
    return { ledger, outages, ms, callsPerSecond }
  } finally {
    for (const close of closing.reverse()) await close()
  }
}

const wait = (ms: number) => new Promise((waited) => setTimeout(waited, ms))

/** The control plane of whichever server is there. What is asked is asked again, until one has done it. */
function keysOf(replicas: readonly ReplicaProcess[]) {
  let made = 0
  const callAny = async (operation: string, input: object) => {
    const until = performance.now() + 60_000
    for (;;) {
      const replica = replicas.find(({ port }) => port !== 0)
      try {
        if (replica !== undefined) return await replica.control.call(operation, input)
      } catch (error) {
        if (performance.now() > until) throw error
      }
      await wait(50)
    }
  }
  return {
    async enrol() {
      for (const tenant of ['a', 'b']) {
        await callAny('tenants.create', { body: { id: `chaos-${tenant}` } })
        await callAny('users.create', { body: { tenant: `chaos-${tenant}`, name: 'person', role: 'user' } })
      }
    },
    async make(tenant: 'a' | 'b'): Promise<{ readonly id: string; readonly text: string }> {
      // A name for each attempt: one whose answer was lost may have made its key.
      const attempt = () => ({
        tenant: `chaos-${tenant}`,
        user: 'person',
        name: `key-${++made}`,
        scopes: ['read', 'write'],
      })
      const { body } = await callAny('api-keys.create', {
        get body() {
          return attempt()
        },
      })
      const { id, key: text } = body as { id: string; key: string }
      return { id, text }
    },
    async revoke(id: string): Promise<void> {
      await callAny('api-keys.revoke', { params: { id } })
    },
  }
}
