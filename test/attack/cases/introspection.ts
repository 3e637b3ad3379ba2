import { mkdtempSync, writeFileSync } from 'node:fs'
import type { RequestListener } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'vitest'
import type { ConfigInput } from '../../../packages/merlon/src/config/schema.ts'
import type { JsonObject } from '../../../packages/merlon/src/identity/token-format.ts'
import type { AttackCase } from '../attack-case.ts'
import type { Connection } from '../connection.ts'
import type { Target } from '../harness.ts'
import { introspectionSecret, MockIssuer } from '../mock-issuer.ts'
import { call, initialize, type Request, tool } from '../request.ts'

const area = 'Introspection'
const issuer = await MockIssuer.open()
const secretFile = join(mkdtempSync(join(tmpdir(), 'merlon-introspection-')), 'secret')
writeFileSync(secretFile, `${introspectionSecret}\n`, { mode: 0o600 })

const config: ConfigInput = {
  identity: {
    issuers: [
      {
        issuer: issuer.url,
        introspection: { url: `${issuer.url}/introspect`, clientId: 'merlon', clientSecret: `file:${secretFile}` },
        tenant: { claim: 'org', values: { 'Tenant A': 'tenant-a', 'Tenant B': 'tenant-b', Nowhere: 'tenant-z' } },
        role: { claim: 'role', values: { Staff: 'user' } },
        allowPrivateNetwork: true,
        dangerouslyAllowHttp: true,
      },
    ],
  },
}

const audience = (target: Target) => `http://${target.host}/mcp`
const seconds = () => Math.floor(Date.now() / 1_000)
let made = 0

/** An opaque token of which its issuer says this; nothing: that it knows none. */
function opaque(says: JsonObject | RequestListener | undefined): string {
  const text = `canary.opaque-token_${++made}~+/==`
  if (says !== undefined) issuer.opaque.set(text, says)
  return text
}
const active = (target: Target, claims: JsonObject = {}) => issuer.active(audience(target), claims)
const good = (target: Target, claims: JsonObject = {}) => opaque(active(target, claims))

const shown = (request: Request, text: string, scheme = 'Bearer'): Request => ({
  ...request,
  headers: { ...request.headers, Authorization: `${scheme} ${text}` },
})
const list = (target: Target, text: string) => target.send(shown(call('tools/list'), text))
const asked = (text: string) => issuer.askedAbout.filter((each) => each === text).length

/** Every bad token gets the answer that a bad key gets; only the record says which check refused. */
const refusedFor = (reason: string): AttackCase['expect'] => ({
  status: 401,
  code: 'INVALID_API_KEY',
  headers: { 'WWW-Authenticate': /^Bearer resource_metadata="http:[^"]+", scope="read write", error="invalid_token"$/ },
  audit: { type: 'auth', success: false, code: 'INVALID_API_KEY', reason },
})

/** What an issuer says, and the check that then refuses. */
const refusals: readonly (readonly [sub: string, reason: string, says: (target: Target) => JsonObject | undefined])[] =
  [
    ['unknown', 'token-inactive', () => undefined],
    ['inactive', 'token-inactive', (target) => ({ ...active(target), active: false })],
    ['of another issuer', 'token-issuer', (target) => active(target, { iss: 'https://evil.example' })],
    ['for another audience', 'token-audience', (target) => active(target, { aud: `${audience(target)}/other` })],
    ['for no audience', 'token-audience', (target) => active(target, { aud: undefined })],
    ['without an end', 'token-times', (target) => active(target, { exp: undefined })],
    ['ended', 'token-expired', (target) => active(target, { iat: seconds() - 300, exp: seconds() - 60 })],
    ['not begun', 'token-not-yet', (target) => active(target, { nbf: seconds() + 120 })],
    ['without a subject', 'token-subject', (target) => active(target, { sub: undefined })],
    ['a refresh token', 'token-type', (target) => active(target, { token_type: 'refresh_token' })],
    ['bound to a key', 'token-scheme', (target) => active(target, { cnf: { jkt: issuer.thumbprint } })],
    [
      'bound to a certificate',
      'token-certificate',
      (target) => active(target, { cnf: { 'x5t#S256': 'c'.repeat(43) } }),
    ],
    ['bound to something else', 'token-binding', (target) => active(target, { cnf: { kid: 'x' } })],
    ['of a tenant that is not here', 'tenant-inactive', (target) => active(target, { org: 'Nowhere' })],
  ]

const json = { 'Content-Type': 'application/json' }
/** How an issuer answers where that is no answer; of the token it would say yes. */
const outages: Readonly<Record<string, (yes: string) => RequestListener>> = {
  'a failure': (yes) => (_, response) => response.writeHead(500, json).end(yes),
  'a client that it does not know': (yes) => (_, response) => response.writeHead(401, json).end(yes),
  'another success': (yes) => (_, response) => response.writeHead(201, json).end(yes),
  'a redirect': (yes) => (_, response) => response.writeHead(307, { ...json, Location: '/elsewhere' }).end(yes),
  'a page': (yes) => (_, response) => response.writeHead(200, { 'Content-Type': 'text/html' }).end(yes),
  'no JSON': (yes) => (_, response) => response.writeHead(200, json).end(`${yes}.`),
  'more than 64 KiB': (yes) => (_, response) => response.writeHead(200, json).end(`${' '.repeat(65_536)}${yes}`),
  'half an answer': (yes) => (_, response) =>
    response.writeHead(200, { ...json, 'Content-Length': yes.length + 1 }).write(yes, () => response.destroy()),
  'none at all': () => (request) => request.socket.destroy(),
  'active as text': (yes) => (_, response) => response.writeHead(200, json).end(yes.replace(':true', ':"true"')),
  'active said twice': (yes) => (_, response) =>
    response.writeHead(200, json).end(yes.replace('{', '{"active":false,')),
  'nothing of whether it is active': (yes) => (_, response) =>
    response.writeHead(200, json).end(yes.replace('"active"', '"inactive"')),
}

/** One stream of every kind, all open, all of whom the token speaks for. */
async function openStreams(target: Target, text: string): Promise<readonly Connection[]> {
  const opened = await target.send(shown(initialize(undefined), text))
  const session = opened.header('mcp-session-id') ?? expect.unreachable(`no session was opened: ${opened.text}`)
  target.sessions.push(session)
  const requests: readonly Request[] = [
    tool('slow', {}, { meta: { progressToken: 'p' } }),
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

const isOver = (stream: Connection) => stream.answers[0]?.complete === true || stream.closed
const ended = (stream: Connection) => stream.until(() => isOver(stream), 'the end of a stream')

/** What is said of a token stands nowhere, and the token itself in the question alone. */
function expectNothingTold(target: Target, ...texts: readonly string[]): void {
  const told = [...target.log, target.auditBytes().toString(), ...issuer.asked].join('\n')
  for (const text of [...texts, 'canary.opaque', introspectionSecret]) expect(told).not.toContain(text)
}

export const introspectionCases: readonly AttackCase[] = [
  {
    id: 'X-400',
    area,
    requirement: ['RS-12', 'RS-07', 'RS-11'],
    title: 'a token that its issuer says is good is let in, as its subject and in its tenant, and is told nowhere',
    config,
    send: async (target) => {
      const text = good(target)
      const answers = [await list(target, text), await list(target, text), await list(target, text)]
      // What the issuer said is remembered.
      expect(asked(text)).toBe(1)
      expectNothingTold(target, text)
      return answers
    },
    expect: { status: 200, audit: { type: 'access', success: true, tenant: 'tenant-a' } },
  },
  ...refusals.map(
    ([sub, reason, says]): AttackCase => ({
      id: 'X-401',
      sub,
      area,
      requirement: ['RS-12', 'RS-02', 'RS-03'],
      title: 'a token of which its issuer says nothing, or nothing good, is refused',
      config,
      send: async (target) => {
        const text = opaque(says(target))
        const answer = await list(target, text)
        expect(asked(text)).toBe(1)
        expectNothingTold(target, text)
        return answer
      },
      expect: refusedFor(reason) ?? {},
    }),
  ),
  ...Object.entries(outages).map(
    ([sub, how]): AttackCase => ({
      id: 'X-402',
      sub,
      area,
      requirement: ['RS-12', 'RS-06'],
      title: 'what is no answer of the issuer is no yes, and nobody’s bad credential',
      config,
      alone: true,
      send: async (target) => {
        const remembered = good(target)
        expect((await list(target, remembered)).status).toBe(200)
        const text = opaque(how(JSON.stringify(active(target))))
        const answer = await list(target, text)
        expect(asked(text)).toBe(1)
        expect(issuer.asked).not.toContain('/elsewhere')
        // Who was let in is in, and asking again helps nobody.
        expect((await list(target, remembered)).status).toBe(200)
        expect((await list(target, text)).status).toBe(503)
        expectNothingTold(target, text)
        return answer
      },
      expect: {
        status: 503,
        code: 'STORE_UNAVAILABLE',
        headers: { 'Retry-After': '5', 'WWW-Authenticate': null },
        ours: [503],
      },
    }),
  ),
  {
    id: 'X-403',
    area,
    requirement: ['RS-12'],
    title: 'a token that is withdrawn at its issuer is refused within half a minute, and all its streams end',
    config,
    alone: true,
    send: async (target) => {
      const [text, other] = [good(target), good(target, { sub: 'bob' })]
      const streams = await openStreams(target, text)
      const others = await openStreams(target, other)
      issuer.opaque.set(text, { active: false })
      // No call shows it again: the streams themselves have it asked about.
      target.advance(15_000)
      for (const stream of streams) await ended(stream)
      const answer = await list(target, text)
      await target.settled(() => expect(asked(other)).toBe(2))
      // Beyond what was said first, those of whom the issuer says yes go on.
      target.advance(15_000)
      await target.settled(() => expect(asked(other)).toBe(3))
      expect(others.some(isOver)).toBe(false)
      return answer
    },
    expect: refusedFor('token-inactive') ?? {},
  },
  {
    id: 'X-404',
    area,
    requirement: ['RS-12'],
    title: 'while the issuer does not answer nobody is let in on what it said before, and streams end with that',
    config,
    alone: true,
    send: async (target) => {
      const text = good(target)
      const streams = await openStreams(target, text)
      issuer.opaque.set(text, (request) => request.socket.destroy())
      target.advance(20_000)
      await target.settled(() => expect(asked(text)).toBe(2))
      expect(streams.some(isOver)).toBe(false)
      target.advance(10_000)
      for (const stream of streams) await ended(stream)
      const answer = await list(target, text)
      issuer.opaque.set(text, active(target))
      target.advance(5_000)
      expect((await list(target, text)).status).toBe(200)
      return answer
    },
    expect: { status: 503, code: 'STORE_UNAVAILABLE', ours: [503] },
  },
  {
    id: 'X-405',
    area,
    requirement: ['RS-12', 'CO-16'],
    title: 'a stranger makes us ask the issuer no more often than they may guess, and keeps out nobody who was in',
    config: { ...config, rateLimit: { failuresMax: 3, rules: [] } },
    alone: true,
    send: async (target) => {
      const text = good(target)
      expect((await list(target, text)).status).toBe(200)
      const before = issuer.askedAbout.length
      const statuses = []
      for (let at = 0; at < 6; at++) statuses.push((await list(target, opaque(undefined))).status)
      expect(statuses).toEqual([401, 401, 401, 429, 429, 429])
      expect(issuer.askedAbout.length - before).toBe(3)
      expect((await list(target, text)).status).toBe(200)
      issuer.opaque.delete(text)
      return list(target, opaque(undefined))
    },
    expect: { status: 429, code: 'RATE_LIMITED', audit: { reason: 'failed-authentication' } },
  },
  {
    id: 'X-406',
    area,
    requirement: ['RS-12', 'RS-13'],
    title: 'a token that its issuer says is bound to a key is good with a proof for this request alone',
    config,
    send: async (target) => {
      const text = good(target, { cnf: { jkt: issuer.thumbprint }, token_type: 'DPoP' })
      const show = async (DPoP: string | undefined, scheme = 'DPoP') => {
        const request = shown(call('tools/list'), text, scheme)
        return (
          await target.send({ ...request, headers: { ...request.headers, ...(DPoP === undefined ? {} : { DPoP }) } })
        ).status
      }
      const htu = audience(target)
      const proof = issuer.proof(text, { htu, jti: 'opaque-one' })
      expect(await show(proof)).toBe(200)
      expect(await show(proof)).toBe(401)
      expect(await show(undefined)).toBe(401)
      expect(await show(issuer.proof(text, { htu, jti: 'opaque-two' }), 'Bearer')).toBe(401)
      expect(await show(issuer.proof(good(target), { htu, jti: 'opaque-three' }))).toBe(401)
      return undefined
    },
  },
  {
    id: 'X-407',
    area,
    requirement: ['RS-09', 'RS-11', 'RS-12'],
    title: 'what is signed, encrypted, a key or shown elsewhere is not what an issuer is asked about',
    config,
    send: async (target) => {
      const before = issuer.askedAbout.length
      const signed = issuer.token(audience(target), {}, { typ: 'JWT' })
      const [head = '', claims = ''] = signed.split('.')
      const bad = [
        signed,
        `${head}.${claims}`,
        `${head}.${claims}.`,
        `${head}..x`,
        `${head}.a.b.c.d`,
        'mrl_'.padEnd(40, 'x'),
      ]
      const answers = []
      for (const text of bad) answers.push(await list(target, text))
      answers.push(await target.send(call('tools/list', {}, { headers: { 'X-API-Key': good(target) } })))
      expect(issuer.askedAbout.length).toBe(before)
      return answers
    },
    expect: { status: 401, code: 'INVALID_API_KEY' },
  },
  {
    id: 'X-408',
    area,
    requirement: ['RS-12'],
    title: 'a socket ends when its token is withdrawn at the issuer, whether anything is said over it or not',
    config: { ...config, webSocket: { enabled: true } },
    alone: true,
    send: async (target) => {
      const [text, other] = [good(target), good(target, { sub: 'bob' })]
      const open = (token: string) => target.openSocket(undefined, { headers: { Authorization: `Bearer ${token}` } })
      const [socket, kept] = [await open(text), await open(other)]
      issuer.opaque.set(text, { active: false })
      target.advance(15_000)
      expect(await socket.closedWith()).toBe(4401)
      await target.settled(() => expect(asked(other)).toBe(2))
      target.advance(15_000)
      await target.settled(() => expect(asked(other)).toBe(3))
      expect(kept.closed).toBe(false)
      return list(target, text)
    },
    expect: refusedFor('token-inactive') ?? {},
  },
]
