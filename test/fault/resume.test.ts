import { randomBytes } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { testPostgres } from '../../packages/merlon/src/store/sql/test-postgres.ts'
import type { Answer, Connection, StreamEvent } from '../attack/connection.ts'
import { initialize, message } from '../attack/request.ts'
import { type ServerProcess, startServers } from './two-servers.ts'

/*
 * Clients that lose their connection and come back to another server on the same PostgreSQL: what was kept is sent once, what
 * comes follows, and what nobody makes any more ends with an error. Chance, where there is any, is in when things happen.
 */

/** Counts aloud, with a pause after each number. */
const countTool = `import { setTimeout as wait } from 'node:timers/promises'
import { defineTool } from 'merlon'
import * as z from 'zod'

export default defineTool({
  name: 'count',
  description: 'Counts.',
  input: z.strictObject({ to: z.int(), pauseMs: z.int() }),
  run: async ({ to, pauseMs }, ctx) => {
    for (let at = 1; at <= to; at++) {
      ctx.progress(at)
      await wait(pauseMs, undefined, { signal: ctx.signal })
    }
    return \`counted to \${to}\`
  },
})
`

/** Longer than it takes to know a server for dead, and to say so. */
const withinMs = 15_000

const postgres = await testPostgres()
afterAll(async () => {
  if ('close' in postgres) await postgres.close()
}, 60_000)

/** A client that reads one stream, over as many connections as it takes. */
class Reader {
  readonly heard: StreamEvent[] = []
  readonly #session: string
  readonly #credential: string
  #connection: Connection | undefined
  #answer: Answer | undefined
  #taken = 0

  constructor(session: string, credential: string) {
    this.#session = session
    this.#credential = credential
  }

  /** Calls `count` at this server. */
  async call(server: ServerProcess, to: number, pauseMs: number, id: string | number = 'counting'): Promise<Answer> {
    const params = { name: 'count', arguments: { to, pauseMs }, _meta: { progressToken: 'p' } }
    const request = message('tools/call', params, { id, session: this.#session })
    return this.#read(await server.begin(request, this.#credential))
  }

  /** Comes back to this one with the last event that it heard, or with another. */
  async resume(server: ServerProcess, id = this.heard.at(-1)?.id ?? ''): Promise<Answer> {
    return this.#read(await this.resuming(server, id))
  }

  /** The same, once the servers have heard that the reader before has left. */
  async goOn(server: ServerProcess, id = this.heard.at(-1)?.id ?? ''): Promise<Answer> {
    const until = performance.now() + withinMs
    for (;;) {
      const answer = await this.resume(server, id)
      if (answer.status !== 409 || performance.now() > until) return answer
      this.leave()
      await wait(50)
    }
  }

  resuming(server: ServerProcess, id: string): Promise<Connection> {
    const headers = { 'Mcp-Session-Id': this.#session, 'Last-Event-ID': id }
    return server.begin({ verb: 'GET', headers }, this.#credential)
  }

  async open(server: ServerProcess): Promise<Answer> {
    return this.#read(
      await server.begin({ verb: 'GET', headers: { 'Mcp-Session-Id': this.#session } }, this.#credential),
    )
  }

  async #read(connection: Connection): Promise<Answer> {
    this.#connection = connection
    this.#taken = 0
    this.#answer = await connection.begun()
    return this.#answer
  }

  /** Reads until it has heard so many more, or the stream or the connection is over. */
  async hear(more: number): Promise<void> {
    const answer = this.#answer!
    const enough = () => answer.events.length - this.#taken >= more || answer.complete || this.#connection!.closed
    await this.#connection!.until(enough, `${more} events`, withinMs)
    const fresh = answer.events.slice(this.#taken, Number.isFinite(more) ? this.#taken + more : undefined)
    this.#taken += fresh.length
    this.heard.push(...fresh)
  }

  /** Reads to the end of the stream. */
  hearAll(): Promise<void> {
    return this.hear(Number.POSITIVE_INFINITY)
  }

  leave(): void {
    this.#connection?.destroy()
  }

  get messages(): readonly { id?: unknown; result?: unknown; error?: unknown; params?: { progress?: number } }[] {
    return this.heard.flatMap(({ data }) => (data === '' ? [] : [JSON.parse(data)]))
  }

  get counted(): readonly number[] {
    return this.messages.flatMap(({ params }) => params?.progress ?? [])
  }

  /** No event came twice: each has a place of its own, but for those that only say where to go on. */
  get placesOnce(): boolean {
    const ids = this.heard.filter(({ data }) => data !== '').map(({ id }) => id)
    return new Set(ids).size === ids.length
  }
}

const upTo = (to: number) => Array.from({ length: to }, (_, at) => at + 1)

if ('reason' in postgres) describe.skip(`resuming between servers: ${postgres.reason}`, () => undefined)
else {
  describe('three servers on one PostgreSQL', { timeout: 180_000 }, () => {
    let opened: Awaited<ReturnType<typeof startServers>>
    let credential = ''
    let session = ''
    const readers: Reader[] = []
    const config = {
      server: { port: 0 },
      admin: { port: 0 },
      store: { databaseUrl: 'env:DATABASE_URL' },
      log: { level: 'error' as const },
      rateLimit: { callsMax: 1_000_000, rules: [] },
      resumability: { eventsMax: 10_000 },
    }
    let env: Record<string, string> = {}
    /** A server of its own for a test that ends it. */
    const extra: Awaited<ReturnType<typeof startServers>>[] = []
    const another = async () => {
      const started = await startServers(1, config, env, { count: countTool })
      extra.push(started)
      return started.servers[0]!
    }

    beforeAll(async () => {
      env = { DATABASE_URL: await postgres.database(), ENCRYPTION_KEY: randomBytes(32).toString('hex') }
      opened = await startServers(3, config, env, { count: countTool })
      const { control } = opened.servers[0]!
      const user = { name: 'reader', role: 'user', password: 'a long and quiet walk 7' }
      const owner = ((await control.call('users.create', { body: user })).body as { id: string }).id
      const key = await control.call('api-keys.create', { body: { name: 'laptop', scopes: ['read', 'write'], owner } })
      credential = (key.body as { key: string }).key
      const opening = await opened.servers[0]!.begin(initialize(undefined), credential)
      session = (await opening.answer())?.header('mcp-session-id') ?? expect.unreachable('no session')
    }, 120_000)
    afterEach(async () => {
      for (const each of readers.splice(0)) each.leave()
      for (const each of extra.splice(0)) await each.close()
    })
    afterAll(() => opened?.close())

    const reader = () => {
      const made = new Reader(session, credential)
      readers.push(made)
      return made
    }

    test('EV-04: a stream that is made at one server is read on at the others, while the call goes on', async () => {
      const [a, b, c] = opened.servers as [ServerProcess, ServerProcess, ServerProcess]
      const client = reader()
      await client.call(a, 300, 5)
      const turns = [b, c, a, b, b, c, a, a, c, b]
      for (const [at, server] of turns.entries()) {
        await client.hear(1 + ((at * 7) % 13))
        client.leave()
        const answer = await client.goOn(server)
        expect(answer.status, answer.text).toBe(200)
      }
      await client.hearAll()
      expect(client.counted).toEqual(upTo(300))
      expect(client.placesOnce).toBe(true)
      expect(client.messages.at(-1)).toMatchObject({
        id: 'counting',
        result: { content: [{ text: 'counted to 300' }] },
      })
      // Again from the place where it last came back: the same, from any server, also after the end.
      const later = reader()
      for (const server of [a, c]) {
        expect((await later.goOn(server, client.heard.at(-1)!.id!)).status).toBe(200)
        await later.hearAll()
      }
      expect(later.messages).toEqual([])
    })

    test('EV-07: a server that is killed: what was kept arrives elsewhere, and then an error for an answer', async () => {
      const [, b, c] = opened.servers as [ServerProcess, ServerProcess, ServerProcess]
      const doomed = await another()
      const [away, reading] = [reader(), reader()]
      // One client is away when it happens, the other reads at another server.
      await away.call(doomed, 10_000, 5, 1)
      await away.hear(20)
      away.leave()
      await reading.call(doomed, 10_000, 5, 2)
      await reading.hear(10)
      reading.leave()
      expect((await reading.goOn(b)).status).toBe(200)
      await reading.hear(10)
      const heardBefore = new Map([away, reading].map((client) => [client, client.counted.length]))
      await doomed.signal('SIGKILL')
      expect((await away.goOn(c)).status).toBe(200)
      for (const [client, id] of [
        [away, 1],
        [reading, 2],
      ] as const) {
        await client.hearAll()
        // What comes beyond what it heard is as much as the server kept before it died, which may be nothing.
        expect(client.counted.length).toBeGreaterThanOrEqual(heardBefore.get(client)!)
        expect(client.counted).toEqual(upTo(client.counted.length))
        expect(client.placesOnce).toBe(true)
        const ends = client.messages.filter((each) => 'result' in each || 'error' in each)
        expect(ends).toEqual([
          {
            jsonrpc: '2.0',
            id,
            error: { code: 50_201, message: expect.stringContaining('ended'), data: { code: 'CALL_LOST' } },
          },
        ])
      }
      // The error is the answer from now on, wherever it is asked for.
      const again = reader()
      expect((await again.goOn(b, away.heard.at(-2)!.id!)).status).toBe(200)
      await again.hearAll()
      expect(again.heard).toEqual([away.heard.at(-1)])
    })

    test('EV-09 SE-11: of two who resume at once one gets the stream and the other 409, at one server and at two', async () => {
      const [a, b] = opened.servers as [ServerProcess, ServerProcess]
      for (const places of [
        [a, a],
        [a, b],
        [b, b],
      ] as const) {
        const client = reader()
        await client.call(a, 1_000, 5)
        await client.hear(5)
        client.leave()
        const id = client.heard.at(-1)!.id!
        // The server has to have heard that the first reader left, or both would be refused for that.
        await expect
          .poll(
            async () => {
              const probe = await client.resuming(b, id)
              const { status } = await probe.begun()
              probe.destroy()
              return status
            },
            { timeout: withinMs },
          )
          .toBe(200)
        const statuses = async () => {
          const racing = await Promise.all(places.map((server) => client.resuming(server, id)))
          const answers = await Promise.all(racing.map((each) => each.begun()))
          return { racing, answers, codes: answers.map(({ status }) => status).sort() }
        }
        let both = await statuses()
        for (let tries = 0; tries < 20 && both.codes[0] === 409; tries++) {
          for (const each of both.racing) each.destroy()
          both = await statuses()
        }
        expect(both.codes).toEqual([200, 409])
        const refused = both.answers.find(({ status }) => status === 409)!
        await both.racing[both.answers.indexOf(refused)]!.answer()
        expect(refused.code).toBe('STREAM_TAKEN')
        const won = both.racing[both.answers.findIndex(({ status }) => status === 200)]!
        await won.until(() => won.answers[0]?.complete === true || won.closed, 'the rest', 60_000)
        const rest = won.answers[0]
        const counted = [
          ...client.messages,
          ...rest!.messages.map(({ data }) => JSON.parse(data) as { params?: { progress: number } }),
        ].flatMap(({ params }) => params?.progress ?? [])
        expect(counted).toEqual(upTo(1_000))
        for (const each of both.racing) each.destroy()
      }
    })

    test('SE-11: a stream that is read at one server is refused at another, and the first reader not touched', async () => {
      const [a, b] = opened.servers as [ServerProcess, ServerProcess]
      const [first, second] = [reader(), reader()]
      expect((await first.open(a)).status).toBe(200)
      await first.hear(1)
      for (const attempt of [await second.open(b), await second.resume(b, first.heard[0]!.id!)]) {
        expect(attempt.status).toBe(409)
      }
      first.leave()
      const resumed = await second.goOn(b, first.heard[0]!.id!)
      expect(resumed.status).toBe(200)
    })

    test('an id that the client has gone beyond moves nothing back, at any server', async () => {
      const [a, b, c] = opened.servers as [ServerProcess, ServerProcess, ServerProcess]
      const client = reader()
      await client.call(a, 30, 5)
      await client.hear(5)
      client.leave()
      const older = client.heard.at(-1)!.id!
      expect((await client.goOn(b)).status).toBe(200)
      await client.hear(5)
      client.leave()
      expect((await client.goOn(c)).status).toBe(200)
      await client.hearAll()
      for (const server of [a, b, c]) {
        const answer = (await (await client.resuming(server, older)).answer())!
        expect([answer.status, answer.code, answer.events]).toEqual([409, 'EVENT_SUPERSEDED', []])
      }
      expect(client.counted).toEqual(upTo(30))
    })

    test('a server that was silent for too long adds nothing to a stream that was ended for it', async () => {
      const [, b] = opened.servers as [ServerProcess, ServerProcess]
      const sleepy = await another()
      const client = reader()
      await client.call(sleepy, 10_000, 2)
      await client.hear(20)
      client.leave()
      expect((await client.goOn(b)).status).toBe(200)
      await client.hear(5)
      await sleepy.signal('SIGSTOP')
      await client.hearAll()
      expect(client.messages.at(-1)).toMatchObject({ error: { data: { code: 'CALL_LOST' } } })
      await sleepy.signal('SIGCONT')
      // It serves on, under another name. Until it knows that, what it would keep is refused.
      let tries = 0
      await expect
        .poll(
          async () => {
            const fresh = reader()
            await fresh.call(sleepy, 20, 1, `fresh ${++tries}`)
            await fresh.hearAll()
            const [last] = fresh.messages.slice(-1)
            if (last?.error !== undefined) expect(last).toMatchObject({ error: { data: { code: 'CALL_LOST' } } })
            return fresh.counted
          },
          { timeout: withinMs },
        )
        .toEqual(upTo(20))
      const again = reader()
      expect((await again.goOn(b, client.heard.at(-2)!.id!)).status).toBe(200)
      await again.hearAll()
      expect(again.heard).toEqual([client.heard.at(-1)])
    })

    test('a server that stops lets its readers go on elsewhere, and finishes what it began', async () => {
      const [, b, c] = opened.servers as [ServerProcess, ServerProcess, ServerProcess]
      const stopping = await another()
      const [client, own] = [reader(), reader()]
      await client.call(stopping, 60, 50)
      await client.hear(10)
      expect((await own.open(stopping)).status).toBe(200)
      await own.hear(1)
      const ended = stopping.signal('SIGTERM')
      await client.hearAll()
      await own.hearAll()
      expect(client.counted.length).toBeLessThan(60)
      expect((await client.goOn(b)).status).toBe(200)
      expect((await own.goOn(c)).status).toBe(200)
      await client.hearAll()
      expect(client.counted).toEqual(upTo(60))
      expect(client.messages.at(-1)).toMatchObject({ result: { content: [{ text: 'counted to 60' }] } })
      await ended
    })

    test('a call that a stopping server cannot finish ends with an error', async () => {
      const [, b] = opened.servers as [ServerProcess, ServerProcess]
      const stopping = await another()
      const client = reader()
      await client.call(stopping, 10_000, 20)
      await client.hear(10)
      const ended = stopping.signal('SIGTERM')
      await client.hearAll()
      expect((await client.goOn(b)).status).toBe(200)
      await client.hearAll()
      await ended
      expect(client.counted).toEqual(upTo(client.counted.length))
      expect(client.messages.at(-1)).toMatchObject({ id: 'counting', error: { data: { code: 'DRAINING' } } })
    })
  })
}
