import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { everyTenant } from '../../packages/merlon/src/identity/reach.ts'
import { openDatabase } from '../../packages/merlon/src/store/sql/database.ts'
import { actWithin } from '../../packages/merlon/src/store/sql/row-security.ts'
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
  describe('two servers on one PostgreSQL', { timeout: 180_000 }, () => {
    let issuer: MockIssuer
    let databaseUrl: string
    let opened: Awaited<ReturnType<typeof startServers>>
    let one: ServerProcess
    let other: ServerProcess
    let made = 0

    beforeAll(async () => {
      issuer = await MockIssuer.open()
      databaseUrl = await postgres.database()
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
        { DATABASE_URL: databaseUrl, ENCRYPTION_KEY: randomBytes(32).toString('hex') },
      )
      ;[one, other] = opened.servers as [ServerProcess, ServerProcess]
    }, 180_000)
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
      /** Its public id. */
      readonly id: string
      /** Takes it back, at the first server. */
      readonly end: () => Promise<unknown>
    }
    const ways: Readonly<Record<string, () => Promise<Withdrawal>>> = {
      'a sign-in that is revoked': async () => {
        const { accessToken: credential, signIn: id } = await tokenOf((await userOf()).name)
        return { credential, id, end: () => one.control.call('sign-ins.revoke', { params: { id } }) }
      },
      'the sign-in of a user who is disabled': async () => {
        const { id, name, version } = await userOf()
        const { accessToken: credential, signIn } = await tokenOf(name)
        const disabled = { params: { id }, body: { status: 'disabled' }, version }
        return { credential, id: signIn, end: () => one.control.call('users.update', disabled) }
      },
      'a key that is revoked': async () => {
        const owner = (await userOf()).id
        const { body } = await one.control.call('api-keys.create', {
          body: { name: 'laptop', scopes: ['read'], owner },
        })
        const { id, key: credential } = body as { id: string; key: string }
        return { credential, id, end: () => one.control.call('api-keys.revoke', { params: { id } }) }
      },
      'a subject of another issuer who is blocked': async () => {
        const subject = `subject-${++made}`
        const body = { issuer: issuer.url, subject }
        return {
          credential: issuer.token(resource, { sub: subject }),
          id: `${issuer.url}#${subject}`,
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

    const sessionsOf = async (server: ServerProcess, credential: string) => {
      const { body } = await server.control.call('sessions.list', { query: { credential } })
      return (body as { items: unknown[] }).items.length
    }

    test.each(Object.entries(ways))(
      'O-113 RS-12 SE-05: %s is refused by both, and loses its streams and its sessions at both',
      async (_, way) => {
        const { credential, id, end } = await way()
        const streams: Connection[] = []
        for (const server of [one, other]) {
          expect((await send(server, credential)).status).toBe(200)
          streams.push(...(await openStreams(server, credential)))
        }
        expect(streams.filter(isOver)).toEqual([])
        expect(await sessionsOf(other, id)).toBe(2)
        await end()
        // They are gone from the tables when the change is answered, and with them from what either says.
        for (const server of [one, other]) expect(await sessionsOf(server, id)).toBe(0)
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

    test('SE-10 AU-09: an administrator sees a session at both, and ends it, with its stream, at the one that did not open it', async () => {
      const { credential } = await ways['a key that is revoked']!()
      const opening = await one.begin(initialize(undefined), credential)
      const session = (await opening.answer())?.header('mcp-session-id') ?? expect.unreachable('no session')
      const listed = async (server: ServerProcess) => {
        const { body } = await server.control.call('sessions.list', { query: { limit: 200 } })
        return (body as { items: { id: string }[] }).items.map(({ id }) => id)
      }
      const stream = await one.begin({ verb: 'GET', headers: { 'Mcp-Session-Id': session } }, credential)
      expect((await stream.begun()).status).toBe(200)
      const seen = await listed(other)
      expect(seen.length).toBeGreaterThan(0)
      expect(await listed(one)).toEqual(seen)
      for (const id of seen) await other.control.call('sessions.end', { params: { id } })
      expect(await listed(one)).toEqual([])
      // Nobody calls in the session: its stream is ended by the news alone.
      await stream.until(() => isOver(stream), 'the end of the stream', withinMs)
      await expect.poll(() => inSession(one, credential, session), { timeout: withinMs, interval: 20 }).toBe(404)
    })

    test('O-081 O-082 CR-02: what was changed behind their backs is refused by the one that had not seen it, and told', async () => {
      const [mine, theirs] = [await ways['a key that is revoked']!(), await ways['a key that is revoked']!()]
      const sessions: string[] = []
      for (const { credential } of [mine, theirs]) {
        const opening = await one.begin(initialize(undefined), credential)
        sessions.push((await opening.answer())?.header('mcp-session-id') ?? expect.unreachable('no session'))
      }
      const records = async () => {
        const { body } = await other.control.call('audit.query', { query: { type: 'crypto' } })
        return (body as { items: { reason: string; success: boolean }[] }).items
      }
      expect(await records()).toEqual([])
      const database = await openDatabase({ databaseUrl })
      const rows = await actWithin(database, everyTenant, (act) =>
        act.selectFrom('sessions').selectAll().orderBy('used_at', 'desc').limit(2).execute(),
      )
      const [last, before] = rows as [(typeof rows)[number], (typeof rows)[number]]
      await actWithin(database, everyTenant, async (act) => {
        const swap = ({ sealed }: typeof last, { session }: typeof last) =>
          act.updateTable('sessions').set({ sealed }).where('session', '=', session).execute()
        await swap(last, before)
        await swap(before, last)
      })
      for (const [at, { credential }] of [mine, theirs].entries())
        expect(await inSession(other, credential, sessions[at]!)).toBe(404)
      await expect.poll(records, { timeout: 10_000 }).toHaveLength(2)
      expect(await records()).toMatchObject([
        { success: false, reason: 'unreadable' },
        { success: false, reason: 'unreadable' },
      ])
      await database.close()
    })

    test('CR-05, CR-07: a key that is rotated at one seals at both, and one that is destroyed there opens at neither', async () => {
      const { credential } = await ways['a key that is revoked']!()
      const open = async (server: ServerProcess) => {
        const opening = await server.begin(initialize(undefined), credential)
        return (await opening.answer())?.header('mcp-session-id') ?? expect.unreachable('no session')
      }
      const keys = async () => {
        const { body } = await other.control.call('encryption-keys.verify')
        const { items } = body as {
          items: { id: string; purpose: string; state: string; records: number }[]
        }
        return items.filter(({ purpose }) => purpose === 'session')
      }
      const [atOne, atOther] = [await open(one), await open(other)]
      const { id: old } = (await keys()).find(({ state }) => state === 'sealing') ?? expect.unreachable('no key')
      await one.control.call('encryption-keys.rotate', { body: { purpose: 'session' } })
      // What the other had begun to seal with the old one is sealed anew by whoever looks next.
      await expect
        .poll(async () => (await keys()).find(({ state }) => state === 'sealing')?.id, { timeout: withinMs })
        .not.toBe(old)
      await expect
        .poll(
          async () => {
            const before = (await keys()).find(({ state }) => state === 'sealing')?.records ?? 0
            const session = await open(other)
            const after = (await keys()).find(({ state }) => state === 'sealing')?.records ?? 0
            expect(await inSession(one, credential, session)).toBe(200)
            return after > before
          },
          { timeout: withinMs },
        )
        .toBe(true)
      for (const server of [one, other])
        for (const session of [atOne, atOther]) expect(await inSession(server, credential, session)).toBe(200)
      const { id: sealing } = (await keys()).find(({ state }) => state === 'sealing') ?? expect.unreachable('no key')
      await one.control.call('encryption-keys.destroy', { params: { id: sealing }, body: { force: true } })
      for (const server of [one, other])
        for (const session of [atOne, atOther])
          await expect.poll(() => inSession(server, credential, session), { timeout: withinMs, interval: 50 }).toBe(404)
      // Both go on with another.
      for (const server of [one, other]) {
        await expect
          .poll(async () => inSession(server, credential, await open(server)), { timeout: withinMs })
          .toBe(200)
      }
      // What the other had opened with that key in its last second is ended too.
      await expect
        .poll(async () => (await keys()).filter(({ state, records }) => state === 'destroyed' && records > 0), {
          timeout: 30_000,
        })
        .toEqual([])
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
