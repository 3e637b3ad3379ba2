import { expect } from 'vitest'
import type { ConfigInput } from '../../../packages/merlon/src/config/schema.ts'
import type { JsonObject } from '../../../packages/merlon/src/identity/token-format.ts'
import { ask } from '../../tokens/control-client.ts'
import type { AttackCase } from '../attack-case.ts'
import type { Connection } from '../connection.ts'
import type { Target } from '../harness.ts'
import { MockIssuer } from '../mock-issuer.ts'
import { call, initialize, type Request, tool } from '../request.ts'

const area = 'Revocation'
const issuer = await MockIssuer.open()

const config: ConfigInput = {
  identity: {
    issuers: [
      {
        issuer: issuer.url,
        tenant: { claim: 'org', values: { 'Tenant A': 'tenant-a', 'Tenant B': 'tenant-b' } },
        role: { claim: 'role', values: { Staff: 'user' } },
        allowPrivateNetwork: true,
        dangerouslyAllowHttp: true,
      },
    ],
  },
}

/** A good token: it stays one, whatever is done here. */
const token = (target: Target, claims: JsonObject = {}) => issuer.token(`http://${target.host}/mcp`, claims)
const shown = (request: Request, text: string): Request => ({
  ...request,
  headers: { ...request.headers, Authorization: `Bearer ${text}` },
})
const list = (target: Target, text: string) => target.send(shown(call('tools/list'), text))
const meta = { progressToken: 'p' }

/** One stream of every kind, all open, all of whom the token speaks for. */
async function openStreams(target: Target, text: string): Promise<readonly Connection[]> {
  const opened = await target.send(shown(initialize(undefined), text))
  const session = opened.header('mcp-session-id') ?? expect.unreachable('no session was opened')
  target.sessions.push(session)
  const requests: readonly Request[] = [
    tool('slow', {}, { meta }),
    call('subscriptions/listen', { notifications: { toolsListChanged: true } }, { id: 'listening' }),
    { verb: 'GET', headers: { 'Mcp-Session-Id': session } },
  ]
  const streams = []
  for (const request of requests) {
    const stream = await target.begin(shown(request, text))
    expect((await stream.begun()).status).toBe(200)
    streams.push(stream)
  }
  return streams
}

/** Streams end within five seconds of their credential. */
const ended = (stream: Connection) =>
  stream.until(() => stream.answers[0]?.complete === true || stream.closed, 'the end of a stream', 5_000)

/** As whoever can open the data folder. */
const local = (target: Target, method: string, path: string, body?: object) =>
  ask({ socketPath: target.server.control.socket ?? expect.unreachable('no socket') }, method, path, { body })

async function block(target: Target, subject: string, tenant?: string): Promise<string> {
  const made = await local(target, 'POST', '/api/blocked-subjects', { issuer: issuer.url, subject, tenant })
  expect(made.status, made.text).toBe(201)
  return made.body.id as string
}

const refused: AttackCase['expect'] = {
  status: 401,
  code: 'INVALID_API_KEY',
  audit: { type: 'auth', success: false, reason: 'subject-blocked' },
}

export const subjectCases: readonly AttackCase[] = [
  {
    id: 'X-180',
    area,
    requirement: ['RS-12', 'AU-09'],
    title: 'a subject of another issuer who is blocked is refused with a good token, and all their streams end',
    config,
    alone: true,
    send: async (target) => {
      const text = token(target)
      const streams = await openStreams(target, text)
      const [other] = await openStreams(target, token(target, { sub: 'bob' }))
      await block(target, 'ann')
      for (const stream of streams) await ended(stream)
      const seen = other?.answers[0]?.messages.length ?? 0
      await other?.messages(seen + 2)
      // One that was verified before, and one that is new.
      return [await list(target, text), await list(target, token(target, { jti: 'another', org: 'Tenant B' }))]
    },
    expect: refused,
  },
  {
    id: 'X-181',
    area,
    requirement: ['RS-12', 'AU-04'],
    title: 'who is blocked in one tenant goes on in another, streams included',
    config,
    alone: true,
    send: async (target) => {
      const [here, there] = [token(target), token(target, { org: 'Tenant B' })]
      const [streams, [other]] = [await openStreams(target, here), await openStreams(target, there)]
      await block(target, 'ann', 'tenant-a')
      for (const stream of streams) await ended(stream)
      const seen = other?.answers[0]?.messages.length ?? 0
      await other?.messages(seen + 2)
      expect((await list(target, there)).status).toBe(200)
      return list(target, here)
    },
    expect: refused,
  },
  {
    id: 'X-182',
    area,
    requirement: ['RS-12'],
    title: 'a block outlives a restart, and ends when it is lifted',
    config,
    alone: true,
    send: async (target) => {
      const id = await block(target, 'ann')
      await target.restart()
      const after = await list(target, token(target))
      expect((await local(target, 'DELETE', `/api/blocked-subjects/${id}`)).status).toBe(204)
      expect((await list(target, token(target))).status).toBe(200)
      return after
    },
    expect: refused,
  },
]
