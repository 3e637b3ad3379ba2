import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { testPostgres } from '../../packages/merlon/src/store/sql/test-postgres.ts'
import type { Answer, Connection } from '../attack/connection.ts'
import { MockIssuer } from '../attack/mock-issuer.ts'
import { call, initialize, message } from '../attack/request.ts'
import { ask } from '../tokens/control-client.ts'
import { type ServerProcess, startServers } from './two-servers.ts'

/** Both are reached by this name, as behind a balancer. Nothing listens there: tests go to each by its own address. */
const publicUrl = 'http://localhost:9'
const resource = `${publicUrl}/mcp`
const password = 'a long and quiet walk 7'
/** What AK-07 and RS-12 promise. */
const withinMs = 5_000

const postgres = await testPostgres()
afterAll(async () => {
  if ('close' in postgres) await postgres.close()
})

if ('reason' in postgres) describe.skip(`two servers on one PostgreSQL: ${postgres.reason}`, () => undefined)
else {
  describe('two servers on one PostgreSQL', { timeout: 60_000 }, () => {
    let issuer: MockIssuer
    let opened: Awaited<ReturnType<typeof startServers>>
    let one: ServerProcess
    let other: ServerProcess
    let made = 0

    beforeAll(async () => {
      issuer = await MockIssuer.open()
      opened = await startServers(
        2,
        {
          server: { port: 0, publicUrl },
          admin: { port: 0 },
          store: { databaseUrl: 'env:DATABASE_URL' },
          log: { level: 'error' },
          rateLimit: { callsMax: 1_000_000, failuresMax: 1_000_000, rules: [] },
          identity: {
            issuers: [
              {
                issuer: issuer.url,
                tenant: { value: 'default' },
                role: { value: 'user' },
                allowPrivateNetwork: true,
                dangerouslyAllowHttp: true,
              },
            ],
          },
        },
        { DATABASE_URL: await postgres.database(), ENCRYPTION_KEY: randomBytes(32).toString('hex') },
      )
      ;[one, other] = opened.servers as [ServerProcess, ServerProcess]
    }, 90_000)
    afterAll(async () => {
      await opened?.close()
      await issuer?.close()
    })

    const userOf = async () => {
      const name = `person-${++made}`
      const { body } = await one.control.call('users.create', { body: { name, role: 'user', password } })
      return { name, ...(body as { id: string; version: number }) }
    }
    const tokenOf = async (name: string) => {
      const login = { tenant: 'default', name, password, resource }
      const { body, text } = await ask({ url: one.controlUrl }, 'POST', '/api/auth/login', { body: login })
      expect(body, text).toMatchObject({ accessToken: expect.any(String) })
      return body as { accessToken: string; signIn: string }
    }

    interface Withdrawal {
      readonly credential: string
      /** Takes it back, at the first server. */
      readonly end: () => Promise<unknown>
    }
    const ways: Readonly<Record<string, () => Promise<Withdrawal>>> = {
      'a sign-in that is revoked': async () => {
        const { accessToken: credential, signIn: id } = await tokenOf((await userOf()).name)
        return { credential, end: () => one.control.call('sign-ins.revoke', { params: { id } }) }
      },
      'the sign-in of a user who is disabled': async () => {
        const { id, name, version } = await userOf()
        const { accessToken: credential } = await tokenOf(name)
        const disabled = { params: { id }, body: { status: 'disabled' }, version }
        return { credential, end: () => one.control.call('users.update', disabled) }
      },
      'a key that is revoked': async () => {
        const owner = (await userOf()).id
        const { body } = await one.control.call('api-keys.create', {
          body: { name: 'laptop', scopes: ['read'], owner },
        })
        const { id, key: credential } = body as { id: string; key: string }
        return { credential, end: () => one.control.call('api-keys.revoke', { params: { id } }) }
      },
      'a subject of another issuer who is blocked': async () => {
        const subject = `subject-${++made}`
        const body = { issuer: issuer.url, subject }
        return {
          credential: issuer.token(resource, { sub: subject }),
          end: () => one.control.call('subjects.block', { body }),
        }
      },
    }

    const send = async (server: ServerProcess, credential: string): Promise<Answer> => {
      const connection = await server.begin(call('tools/list'), credential)
      const answer = (await connection.answer()) ?? expect.unreachable('no answer')
      connection.destroy()
      return answer
    }
    /** A stream of each revision, both open. */
    const openStreams = async (server: ServerProcess, credential: string): Promise<readonly Connection[]> => {
      const opening = await server.begin(initialize(undefined), credential)
      const session = (await opening.answer())?.header('mcp-session-id') ?? expect.unreachable('no session')
      const listen = call('subscriptions/listen', { notifications: { toolsListChanged: true } }, { id: 'listening' })
      const streams = [
        await server.begin(listen, credential),
        await server.begin({ verb: 'GET', headers: { 'Mcp-Session-Id': session } }, credential),
      ]
      for (const stream of streams) expect((await stream.begun()).status).toBe(200)
      return streams
    }
    const isOver = (stream: Connection) => stream.answers[0]?.complete === true || stream.closed

    test.each(Object.entries(ways))(
      'O-113 RS-12: %s is refused by both, and loses its streams at both',
      async (_, way) => {
        const { credential, end } = await way()
        const streams: Connection[] = []
        for (const server of [one, other]) {
          expect((await send(server, credential)).status).toBe(200)
          streams.push(...(await openStreams(server, credential)))
        }
        expect(streams.filter(isOver)).toEqual([])
        await end()
        for (const server of [one, other]) {
          await expect
            .poll(() => send(server, credential), { timeout: withinMs, interval: 20 })
            .toMatchObject({ status: 401, text: '{"error":"Invalid API key","code":"INVALID_API_KEY"}' })
        }
        for (const stream of streams) await stream.until(() => isOver(stream), 'the end of a stream', withinMs)
      },
    )

    const inSession = async (server: ServerProcess, credential: string, session: string, verb?: 'DELETE') => {
      const ping = message('ping', {}, { id: ++made, session })
      const request = verb === undefined ? ping : { verb, headers: { 'Mcp-Session-Id': session } }
      const connection = await server.begin(request, credential)
      const { status } = (await connection.answer()) ?? expect.unreachable('no answer')
      connection.destroy()
      return status
    }

    test('SE-05: a session is served by both, by one principal alone, and ended at one it is over at both', async () => {
      const [mine, theirs] = [await ways['a key that is revoked']!(), await ways['a key that is revoked']!()]
      const opening = await one.begin(initialize(undefined), mine.credential)
      const session = (await opening.answer())?.header('mcp-session-id') ?? expect.unreachable('no session')
      for (const server of [one, other, one]) expect(await inSession(server, mine.credential, session)).toBe(200)
      expect(await inSession(other, theirs.credential, session)).toBe(404)
      const stream = await one.begin({ verb: 'GET', headers: { 'Mcp-Session-Id': session } }, mine.credential)
      expect((await stream.begun()).status).toBe(200)
      expect(await inSession(other, mine.credential, session, 'DELETE')).toBe(204)
      expect(await inSession(other, mine.credential, session)).toBe(404)
      await stream.until(() => isOver(stream), 'the end of the stream', withinMs)
      expect(await inSession(one, mine.credential, session)).toBe(404)
    })

    test('SE-10: an administrator sees a session at both, and ends it at the one that did not open it', async () => {
      const { credential } = await ways['a key that is revoked']!()
      const opening = await one.begin(initialize(undefined), credential)
      const session = (await opening.answer())?.header('mcp-session-id') ?? expect.unreachable('no session')
      const listed = async (server: ServerProcess) => {
        const { body } = await server.control.call('sessions.list', { query: { limit: 200 } })
        return (body as { items: { id: string }[] }).items.map(({ id }) => id)
      }
      const seen = await listed(other)
      expect(seen.length).toBeGreaterThan(0)
      expect(await listed(one)).toEqual(seen)
      for (const id of seen) await other.control.call('sessions.end', { params: { id } })
      expect(await listed(one)).toEqual([])
      await expect.poll(() => inSession(one, credential, session), { timeout: withinMs, interval: 20 }).toBe(404)
    })

    test('O-113 RS-12: what is taken back from one is left to the others', async () => {
      const [first, second] = [await ways['a key that is revoked']!(), await ways['a key that is revoked']!()]
      const streams = await openStreams(other, second.credential)
      await first.end()
      await expect.poll(async () => (await send(other, first.credential)).status, { timeout: withinMs }).toBe(401)
      expect((await send(other, second.credential)).status).toBe(200)
      expect(streams.filter(isOver)).toEqual([])
    })
  })
}
