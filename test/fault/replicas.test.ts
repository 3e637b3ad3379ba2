import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { startRedis, type TestRedis } from '../../packages/merlon/src/store/redis/test-redis.ts'
import { testPostgres } from '../../packages/merlon/src/store/sql/test-postgres.ts'
import type { Connection } from '../attack/connection.ts'
import { call, message, type Request, tool } from '../attack/request.ts'
import type { ReplicaProcess } from '../chaos/replica-process.ts'
import {
  answerIn,
  ask,
  begin,
  type Cluster,
  callIn,
  openSession,
  startCluster,
  streamOf,
  withMethod,
} from './cluster.ts'

const updated = 'notifications/resources/updated'
const listed = 'notifications/tools/list_changed'
const chosen = { action: 'accept', content: { color: 'blue' } }
const patienceMs = 20_000

const postgres = await testPostgres()
afterAll(async () => {
  if ('close' in postgres) await postgres.close()
})

interface Group {
  readonly name: string
  readonly redis: boolean
  readonly responseMode: 'auto' | 'json'
}
const groups: readonly Group[] = [
  { name: 'three servers on one PostgreSQL', redis: false, responseMode: 'auto' },
  { name: 'three servers on one PostgreSQL and one Redis', redis: true, responseMode: 'auto' },
  { name: 'three servers that answer with plain JSON', redis: false, responseMode: 'json' },
]

if ('reason' in postgres) describe.skip(`three servers: ${postgres.reason}`, () => undefined)
else {
  describe.each(groups)('$name', { timeout: 90_000 }, ({ redis: withRedis, responseMode }) => {
    let redis: TestRedis | undefined
    let cluster: Cluster
    let a: ReplicaProcess
    let b: ReplicaProcess
    let c: ReplicaProcess
    const open: Connection[] = []
    let ids = 100

    beforeAll(async () => {
      redis = withRedis ? await startRedis() : undefined
      const env = {
        DATABASE_URL: await postgres.database(),
        ...(redis === undefined ? {} : { REDIS_URL: redis.url }),
      }
      cluster = await startCluster(3, env, { server: { responseMode } })
      ;[a, b, c] = cluster.servers as [ReplicaProcess, ReplicaProcess, ReplicaProcess]
    }, 180_000)
    afterEach(() => {
      for (const connection of open.splice(0)) connection.destroy()
    })
    afterAll(async () => {
      await cluster?.close()
      await redis?.close()
    }, 60_000)

    const send = async (server: ReplicaProcess, request: Request) => {
      const connection = await begin(server, request, cluster.key)
      open.push(connection)
      return connection
    }
    const accept = async (server: ReplicaProcess, request: Request) =>
      expect((await ask(server, request, cluster.key)).status).toBe(202)
    const soon = (connection: Connection, holds: () => boolean, what: string) =>
      connection.until(holds, what, patienceMs)
    const touch = async (server: ReplicaProcess) =>
      expect((await ask(server, tool('touch'), cluster.key)).said).toBe('touched')
    /** Waits for a question, and answers its id. */
    const questionOn = async (connection: Connection) => {
      const questions = () => withMethod(connection, 'elicitation/create')
      await soon(connection, () => questions().length > 0 || connection.closed, 'a question')
      return questions()[0]!['id'] as string
    }

    const asksAndIsAnswered = async () => {
      const session = await openSession(a, cluster.key, { elicitation: {} })
      // A call that is answered with plain JSON asks on the session's own stream.
      const own = responseMode === 'json' ? await send(c, streamOf(session)) : undefined
      await own?.begun()
      const calling = await send(a, callIn(session, 'ask', {}, ++ids))
      const question = await questionOn(own ?? calling)
      await accept(b, answerIn(session, question, chosen))
      expect((await calling.answer())?.said).toBe('The user likes blue.')
      // Once is enough: what comes later is taken and has no effect.
      await accept(c, answerIn(session, question, { action: 'decline' }))
    }

    const hearOfChanges = async () => {
      const note = 'note://today'
      const listen = call('subscriptions/listen', {
        notifications: { toolsListChanged: true, resourceSubscriptions: [note] },
      })
      const listening = [await send(a, listen), await send(c, listen)]
      for (const connection of listening) await connection.messages(1)
      const session = await openSession(a, cluster.key)
      const own = await send(c, streamOf(session))
      await own.begun()
      const subscribe = message('resources/subscribe', { uri: note }, { session, id: ++ids })
      expect((await ask(a, subscribe, cluster.key)).status).toBe(200)
      for (let times = 1; times <= 3; times++) {
        await touch(times === 2 ? c : b)
        for (const connection of [...listening, own]) {
          await soon(connection, () => withMethod(connection, listed).length >= times, `notice ${times} of the tools`)
          await soon(connection, () => withMethod(connection, updated).length >= times, `notice ${times} of the note`)
        }
      }
      for (const connection of [...listening, own])
        for (const method of [listed, updated]) expect(withMethod(connection, method)).toHaveLength(3)
    }

    test('SE-13: a question that one asks is answered at another', asksAndIsAnswered)

    test('a change that one announces is heard once at each, in both revisions', hearOfChanges)

    test('a call that one answers is cancelled at another', async () => {
      const session = await openSession(a, cluster.key)
      const id = ++ids
      const calling = await send(a, callIn(session, 'wait', { label: `${id}` }, id, 'p'))
      if (responseMode === 'auto') await calling.messages(1)
      const cancel = message('notifications/cancelled', { requestId: id }, { session })
      // Of a call that has not arrived yet there is nothing to cancel, so that it is said until it is heard.
      await expect
        .poll(
          async () => {
            await accept(b, cancel)
            return calling.answers[0]?.complete === true || calling.closed
          },
          { timeout: patienceMs, interval: 300 },
        )
        .toBe(true)
      expect(calling.answers[0]?.text ?? '').not.toContain('"result"')
    })

    test('EV-04: a session hears of each change once, wherever its client reads', async () => {
      const session = await openSession(a, cluster.key)
      const heard: (string | undefined)[] = []
      let times = 0
      // Never twice in a row at one server: two that wait there to be told are one.
      const announce = () => touch([c, a, b][times++ % 3]!)
      for (const reader of [a, b, c, a, b]) {
        const own = await send(reader, streamOf(session, heard.at(-1)))
        expect((await own.begun()).status).toBe(200)
        await announce()
        await soon(own, () => heard.length + own.answers[0]!.messages.length >= times, 'all notices')
        heard.push(...own.answers[0]!.messages.map(({ id }) => id))
        own.destroy()
        // What is announced while nobody reads is told to whoever reads next.
        await announce()
      }
      const own = await send(c, streamOf(session, heard.at(-1)))
      await own.begun()
      await soon(own, () => heard.length + own.answers[0]!.messages.length >= times, 'the last notice')
      heard.push(...own.answers[0]!.messages.map(({ id }) => id))
      expect(heard).toHaveLength(10)
      expect(new Set(heard).size).toBe(10)
    })

    if (responseMode === 'auto')
      test('a server that stood still finds out, and does no harm', async () => {
        const session = await openSession(a, cluster.key, { elicitation: {} })
        const calling = await send(a, callIn(session, 'wait', { label: `still ${++ids}` }, ids, 'p'))
        await calling.messages(1)
        const last = calling.answers[0]!.messages.at(-1)!.id!
        a.freeze()
        try {
          calling.destroy()
          // The others find that it is gone, and end its stream for it.
          const answer = await resumeOnceFree(b, session, last)
          expect([answer.status, answer.code]).toEqual([200, 'CALL_LOST'])
          await asksAndIsAnsweredAt(b, c)
        } finally {
          a.thaw()
        }
        // It goes on under a new name: it asks, is answered elsewhere, and tells what others announce.
        await expect
          .poll(async () => (await ask(a, call('tools/list'), cluster.key)).status, { timeout: patienceMs })
          .toBe(200)
        await asksAndIsAnsweredAt(a, b)
        // What it had begun is over, for it too.
        const answer = await resumeOnceFree(c, session, last)
        expect(answer.messages.filter(({ data }) => data.includes('"id"'))).toHaveLength(1)
        expect(answer.code).toBe('CALL_LOST')
        await hearOfChanges()
      })

    /** Comes back until the server knows that the one before is gone. */
    const resumeOnceFree = (at: ReplicaProcess, session: string, last: string) =>
      vi.waitUntil(
        async () => {
          const answer = (await (await send(at, streamOf(session, last))).answer()) ?? expect.unreachable('no answer')
          return answer.status === 409 ? undefined : answer
        },
        { timeout: patienceMs, interval: 100 },
      )

    const asksAndIsAnsweredAt = async (asker: ReplicaProcess, other: ReplicaProcess) => {
      const session = await openSession(other, cluster.key, { elicitation: {} })
      const calling = await send(asker, callIn(session, 'ask', {}, ++ids))
      await accept(other, answerIn(session, await questionOn(calling), chosen))
      expect((await calling.answer())?.said).toBe('The user likes blue.')
    }

    if (withRedis)
      test('RS-01: without Redis all goes on by PostgreSQL, and a change of that is told', async () => {
        const way = async () => {
          const { body } = await b.control.call('metrics.get')
          return /^merlon_wakes\{over="([a-z]+)"\} 1$/m.exec(String(body))?.[1]
        }
        const until = (wanted: string) => expect.poll(way, { timeout: patienceMs }).toBe(wanted)
        await until('redis')
        await redis?.kill()
        await asksAndIsAnswered()
        await until('postgres')
        await asksAndIsAnswered()
        await hearOfChanges()
        await redis?.restart()
        await until('redis')
        await asksAndIsAnswered()
        expect(b.printed).toContain('replicas wake each other less well')
      })
  })
}
