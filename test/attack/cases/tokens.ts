import { createHmac } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect } from 'vitest'
import type { ConfigInput } from '../../../packages/merlon/src/config/schema.ts'
import { signed } from '../../../packages/merlon/src/identity/token.fixture.ts'
import type { JsonObject } from '../../../packages/merlon/src/identity/token-format.ts'
import { type AttackCase, each } from '../attack-case.ts'
import type { Target } from '../harness.ts'
import { MockIssuer } from '../mock-issuer.ts'
import { call, initialize, message, type Request, tool } from '../request.ts'

const area = 'JWT'
const issuer = await MockIssuer.open()

const config: ConfigInput = {
  identity: {
    issuers: [
      {
        issuer: issuer.url,
        tenant: { claim: 'org', values: { 'Tenant A': 'tenant-a', 'Tenant B': 'tenant-b', Nowhere: 'tenant-z' } },
        role: { claim: 'role', values: { Staff: 'user', Boss: 'admin' } },
        allowPrivateNetwork: true,
        dangerouslyAllowHttp: true,
      },
    ],
  },
}

const audience = (target: Target) => `http://${target.host}/mcp`
const token = (target: Target, claims: JsonObject = {}, header: JsonObject = {}) =>
  issuer.token(audience(target), claims, header)
const bearing = (text: string): Request => call('tools/list', {}, { headers: { Authorization: `Bearer ${text}` } })
const seconds = () => Math.floor(Date.now() / 1_000)
const encoded = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')

/** Every bad token gets the answer that a bad key gets; only the record says which check refused. */
const refusedFor = (reason: string): AttackCase['expect'] => ({
  status: 401,
  code: 'INVALID_API_KEY',
  headers: { 'WWW-Authenticate': /^Bearer resource_metadata="http:[^"]+", scope="read write", error="invalid_token"$/ },
  audit: { type: 'auth', success: false, code: 'INVALID_API_KEY', reason },
})

/** Attempts that one check refuses. */
const refused = (
  id: string,
  requirement: AttackCase['requirement'],
  title: string,
  reason: string,
  tokens: Readonly<Record<string, (target: Target) => string>>,
) =>
  each(
    { id, area, requirement, title, config, expect: refusedFor(reason) ?? {} },
    Object.fromEntries(
      Object.entries(tokens).map(([sub, make]) => [sub, (target: Target) => target.send(bearing(make(target)))]),
    ),
  )

/** The head and the claims of a good token with nothing, or anything, for a signature. */
const unsigned = (target: Target, alg: string, signature = '') =>
  `${encoded({ alg, typ: 'at+jwt', kid: 'issuer-1' })}.${encoded(issuer.claims(audience(target)))}.${signature}`

function signedWithPublicKey(target: Target, alg: string): string {
  const text = `${encoded({ alg, typ: 'at+jwt', kid: issuer.rsa.kid })}.${encoded(issuer.claims(audience(target)))}`
  const pem = issuer.rsa.publicKey.export({ format: 'pem', type: 'spki' })
  return `${text}.${createHmac('sha256', pem).update(text).digest('base64url')}`
}

export const tokenCases: readonly AttackCase[] = [
  {
    id: 'X-170',
    area,
    requirement: ['RS-02', 'RS-07'],
    title: 'a good token of a configured issuer is let in, as its subject and in its tenant',
    config,
    send: (target) => target.send(bearing(token(target))),
    expect: { status: 200, audit: { type: 'access', success: true, tenant: 'tenant-a' } },
  },
  ...refused('O-042', ['RS-01'], 'a token that says it is not signed is refused', 'token-algorithm', {
    none: (target) => unsigned(target, 'none', 'AAAA'),
    None: (target) => unsigned(target, 'None', 'AAAA'),
    nOnE: (target) => unsigned(target, 'nOnE', 'AAAA'),
  }),
  ...refused('O-042', ['RS-01', 'RS-09'], 'a token without a signature is no token', 'malformed', {
    'none, and an empty signature': (target) => unsigned(target, 'none'),
    'ES256, and an empty signature': (target) => unsigned(target, 'ES256'),
    'two parts': (target) => unsigned(target, 'ES256').slice(0, -1),
  }),
  ...refused('O-043', ['RS-01'], 'a public key is no secret to sign with', 'token-algorithm', {
    HS256: (target) => signedWithPublicKey(target, 'HS256'),
    HS512: (target) => signedWithPublicKey(target, 'HS512'),
  }),
  ...refused('O-043', ['RS-01'], 'a digest in the place of a signature is none', 'token-signature', {
    RS256: (target) => signedWithPublicKey(target, 'RS256'),
  }),
  ...refused('O-044', ['RS-02'], 'a token for somebody else is refused', 'token-audience', {
    'another resource of the issuer': (target) => token(target, { aud: 'https://other.example/mcp' }),
    'a sibling path': (target) => token(target, { aud: `${audience(target)}/other` }),
    'the host alone': (target) => token(target, { aud: `http://${target.host}` }),
    'a list without us': (target) => token(target, { aud: ['https://a.example', 'https://b.example'] }),
    nobody: (target) => token(target, { aud: undefined }),
    'another spelling of us': (target) => token(target, { aud: audience(target).toUpperCase() }),
  }),
  ...refused('O-045', ['RS-03'], 'a token that has ended is refused', 'token-expired', {
    'two minutes ago': (target) => token(target, { iat: seconds() - 600, exp: seconds() - 120 }),
  }),
  ...refused('O-045', ['RS-03'], 'a token whose time has not come is refused', 'token-not-yet', {
    'not before ten minutes from now': (target) => token(target, { nbf: seconds() + 600, exp: seconds() + 900 }),
    'issued in the future': (target) => token(target, { iat: seconds() + 600, exp: seconds() + 900 }),
  }),
  ...refused('O-045', ['RS-03'], 'a token whose times are none is refused', 'token-times', {
    'no end': (target) => token(target, { exp: undefined }),
    'an end in words': (target) => token(target, { exp: String(seconds() + 300) }),
    'an end below nothing': (target) => token(target, { exp: -1 }),
    'an end beyond all time': (target) => token(target, { exp: 1e300 }),
  }),
  ...refused('O-045', ['RS-03'], 'a token that lives for long is refused', 'token-lifetime', {
    'a week': (target) => token(target, { exp: seconds() + 7 * 86_400 }),
  }),
  ...refused('O-046', ['RS-04'], 'what the issuer signed for another purpose is no access token', 'token-type', {
    'an ID token': (target) => token(target, { nonce: 'n' }, { typ: 'JWT' }),
    'a refresh token': (target) => token(target, {}, { typ: 'rt+jwt' }),
    'a logout token': (target) => token(target, {}, { typ: 'logout+jwt' }),
    'a token without a type': (target) => token(target, {}, { typ: undefined }),
  }),
  {
    id: 'O-046',
    sub: 'requestState',
    area,
    requirement: ['RS-04'],
    title: 'a sealed state of ours is no token',
    config,
    send: async (target) => {
      const asked = await target.send(tool('ask', {}, { as: 'A.read', capabilities: { elicitation: { form: {} } } }))
      const { requestState } = asked.message.result as { requestState: string }
      expect(requestState.length).toBeGreaterThan(20)
      return target.send(bearing(requestState))
    },
    expect: { status: 401, code: 'INVALID_API_KEY', audit: { type: 'auth', success: false, reason: 'malformed' } },
  },
  {
    id: 'O-047',
    area,
    requirement: ['RS-05'],
    title: 'a token that says where its key is, or brings it, is refused, and nobody is asked',
    config,
    send: async (target) => {
      let visits = 0
      const listener = createServer((_request, response) => {
        visits++
        response.end('{"keys":[]}')
      })
      await new Promise<void>((listening) => listener.listen(0, '127.0.0.1', listening))
      const place = `http://127.0.0.1:${(listener.address() as AddressInfo).port}/keys`
      const answers = []
      for (const header of [
        { jku: place },
        { x5u: place },
        { jwk: issuer.stranger.jwk },
        { x5c: ['MIIB'] },
        { crit: ['b64'], b64: false },
      ]) {
        answers.push(await target.send(bearing(issuer.token(audience(target), {}, header, issuer.stranger))))
      }
      expect(visits).toBe(0)
      listener.closeAllConnections()
      await new Promise((closed) => listener.close(closed))
      return answers
    },
    expect: {
      status: 401,
      code: 'INVALID_API_KEY',
      audit: Array.from({ length: 5 }, () => ({ type: 'auth', success: false, reason: 'token-header' })),
    },
  },
  ...refused('O-048', ['RS-05'], 'a kid that is more than a name is refused', 'token-key-id', {
    'a query': (target) => token(target, {}, { kid: "' OR 1=1--" }),
    'without end': (target) => token(target, {}, { kid: 'k'.repeat(4_000) }),
    'no text': (target) => token(target, {}, { kid: { $ne: '' } }),
  }),
  {
    id: 'O-048',
    sub: '100 KB',
    area,
    requirement: ['RS-05', 'RL-09', 'CO-12'],
    title: 'a kid that is longer than a head may be is refused with its head, and nobody is asked for a key',
    config,
    send: async (target) => {
      const before = issuer.asked.length
      const answer = await target.send(bearing(token(target, {}, { kid: 'k'.repeat(100_000) })))
      expect(issuer.asked.slice(before)).toEqual([])
      return answer
    },
    expect: {
      status: 431,
      code: 'HEADERS_TOO_LARGE',
      audit: { type: 'edge', success: false, code: 'HEADERS_TOO_LARGE' },
    },
  },
  {
    id: 'O-048',
    sub: 'unknown keys, a thousand times',
    area,
    requirement: ['RS-05', 'RS-06'],
    title: 'a kid chooses within the key set, and a thousand unknown ones make us look at it once',
    config,
    alone: true,
    send: async (target) => {
      expect((await target.send(bearing(token(target)))).status).toBe(200)
      target.advance(31_000)
      const before = issuer.asked.length
      const path = await target.send(bearing(token(target, {}, { kid: '../../etc/passwd' })))
      const answers = await Promise.all(
        Array.from({ length: 1_000 }, (_, n) => target.send(bearing(token(target, {}, { kid: `unknown-${n}` })))),
      )
      // The metadata, which says where the set is, and the set.
      expect(issuer.asked.slice(before).filter((asked) => asked === '/keys')).toHaveLength(1)
      return [path, ...answers]
    },
    expect: { status: 401, code: 'INVALID_API_KEY' },
  },
  ...each(
    {
      id: 'O-049',
      area,
      requirement: ['RS-07', 'AU-04'],
      title: 'the tenant is that of the token, whatever is said beside it',
      config,
      expect: { status: 200, audit: { type: 'access', success: true, tenant: 'tenant-a' } },
    },
    {
      'X-Tenant-Id': (target) =>
        target.send(
          call('tools/list', {}, { headers: { Authorization: `Bearer ${token(target)}`, 'X-Tenant-Id': 'tenant-b' } }),
        ),
      '_meta.tenant': (target) =>
        target.send(
          call(
            'tools/list',
            {},
            { headers: { Authorization: `Bearer ${token(target)}` }, meta: { tenant: 'tenant-b' } },
          ),
        ),
      'a claim that is not the configured one': (target) =>
        target.send(bearing(token(target, { tenant: 'tenant-b', tid: 'tenant-b' }))),
    },
  ),
  ...each(
    {
      id: 'O-049',
      area,
      requirement: ['RS-07'],
      title: 'a good token that does not say which tenant is 403, and not 401',
      config,
      expect: { status: 403, code: 'TENANT_MISSING', audit: { success: false, code: 'TENANT_MISSING' } },
    },
    {
      'no claim': (target) => target.send(bearing(token(target, { org: undefined }))),
      'a value of no tenant': (target) => target.send(bearing(token(target, { org: 'tenant-b' }))),
      'two tenants': (target) => target.send(bearing(token(target, { org: ['Tenant A', 'Tenant B'] }))),
    },
  ),
  {
    id: 'O-049',
    sub: 'a tenant that is not there',
    area,
    requirement: ['RS-07'],
    title: 'a tenant that the installation does not have opens nothing',
    config,
    send: (target) => target.send(bearing(token(target, { org: 'Nowhere' }))),
    expect: {
      status: 401,
      code: 'INVALID_API_KEY',
      audit: { type: 'auth', success: false, reason: 'tenant-inactive' },
    },
  },
  {
    id: 'O-050',
    sub: 'a token',
    area,
    requirement: ['RS-08', 'RS-14', 'AU-01'],
    title: 'a token that lacks a scope is told exactly that scope, and the tool does not run',
    config,
    send: (target) =>
      target.send(
        tool('write_note', { text: 'x' }, { headers: { Authorization: `Bearer ${token(target, { scope: 'read' })}` } }),
      ),
    expect: {
      status: 403,
      code: 'INSUFFICIENT_SCOPE',
      headers: {
        'WWW-Authenticate': /^Bearer resource_metadata="http:[^"]+", error="insufficient_scope", scope="write"$/,
      },
      audit: { type: 'tool_access', success: false, tool: 'write_note', scope: 'write' },
    },
  },
  {
    id: 'X-171',
    area,
    requirement: ['RS-08'],
    title: 'a scope that the role does not grant is not there, whatever the token claims',
    config,
    send: (target) =>
      target.send(
        tool('admin_status', {}, { headers: { Authorization: `Bearer ${token(target, { scope: 'read admin' })}` } }),
      ),
    expect: { status: 200, rpc: -32602, audit: { success: false, tool: 'admin_status' } },
  },
  ...refused('X-172', ['RS-09'], 'a token that is not spelled in the one way is refused', 'token-json', {
    'a repeated claim': (target) =>
      signed(
        issuer.pair,
        { alg: 'ES256', typ: 'at+jwt', kid: 'issuer-1' },
        `${JSON.stringify(issuer.claims(audience(target))).slice(0, -1)},"org":"Tenant B"}`,
      ),
    'a repeated header': (target) =>
      signed(
        issuer.pair,
        '{"alg":"ES256","typ":"at+jwt","kid":"issuer-1","alg":"none"}',
        issuer.claims(audience(target)),
      ),
  }),
  ...refused('X-173', ['RS-13'], 'a token bound to a key is no bearer token', 'token-scheme', {
    bearer: (target) => token(target, { cnf: { jkt: issuer.thumbprint } }),
  }),
  ...refused(
    'X-173',
    ['RS-13'],
    'a token bound to a certificate is refused where none was shown',
    'token-certificate',
    {
      'over plain HTTP': (target) => token(target, { cnf: { 'x5t#S256': 'A'.repeat(43) } }),
    },
  ),
  {
    id: 'X-174',
    area,
    requirement: ['RS-13'],
    title: 'a bound token needs a proof for this request, and a proof is good once',
    config,
    send: async (target) => {
      const bound = token(target, { cnf: { jkt: issuer.thumbprint } })
      const show = async (proof: string | undefined, path = '/mcp') =>
        (
          await target.send({
            ...call(
              'tools/list',
              {},
              { headers: { Authorization: `DPoP ${bound}`, ...(proof === undefined ? {} : { DPoP: proof }) } },
            ),
            path,
          })
        ).status
      const htu = audience(target)
      const good = issuer.proof(bound, { htu, jti: 'one' })
      expect(await show(good)).toBe(200)
      expect(await show(good)).toBe(401)
      expect(await show(undefined)).toBe(401)
      expect(await show(issuer.proof(bound, { htu: 'https://other.example/mcp', jti: 'two' }))).toBe(401)
      expect(await show(issuer.proof(bound, { htu, htm: 'GET', jti: 'three' }))).toBe(401)
      expect(await show(issuer.proof(token(target), { htu, jti: 'four' }))).toBe(401)
      expect(await show(issuer.proof(bound, { htu, jti: 'five' }))).toBe(200)
      return undefined
    },
  },
  {
    id: 'X-179',
    area,
    requirement: ['RS-13', 'RS-12'],
    title: 'where a body takes its time its token is asked about again, and its own proof is no replay',
    config,
    alone: true,
    send: async (target) => {
      // The key set has been read, so that nothing else takes its time.
      expect((await target.send(bearing(token(target)))).status).toBe(200)
      const late = async (livesFor: number) => {
        const iat = Math.floor(target.now() / 1_000)
        const bound = token(target, { cnf: { jkt: issuer.thumbprint }, iat, exp: iat + livesFor })
        const DPoP = issuer.proof(bound, { htu: audience(target), iat, jti: `late-${livesFor}` })
        const bytes = target.bytesOf(call('tools/list', {}, { headers: { Authorization: `DPoP ${bound}`, DPoP } }))
        const connection = await target.connect()
        connection.write(bytes.subarray(0, bytes.length - 10), 'POST')
        // An answer on another connection shows that the first part has been read.
        await target.send(call('tools/list', {}, { as: 'A.read' }))
        target.advance(40_000)
        connection.write(bytes.subarray(bytes.length - 10))
        return (await connection.answer())?.status
      }
      expect(await late(300)).toBe(200)
      expect(await late(5)).toBe(401)
      return undefined
    },
  },
  {
    id: 'X-178',
    area,
    requirement: ['RS-13', 'RS-10'],
    title: 'where tokens must be bound, one that is not is refused, and the challenge says which proofs are taken',
    config: {
      identity: {
        issuers: [
          {
            issuer: issuer.url,
            tenant: { value: 'tenant-a' },
            dpop: 'required',
            allowPrivateNetwork: true,
            dangerouslyAllowHttp: true,
          },
        ],
      },
    },
    send: (target) => target.send(bearing(token(target))),
    expect: {
      status: 401,
      code: 'INVALID_API_KEY',
      headers: {
        'WWW-Authenticate':
          /^Bearer resource_metadata="[^"]+", scope="read write", error="invalid_token" \|\| DPoP algs="ES256 EdDSA PS256 RS256", error="invalid_token"$/,
      },
      audit: { type: 'auth', success: false, reason: 'token-unbound' },
    },
  },
  {
    id: 'X-175',
    area,
    requirement: ['RS-13', 'TR-06'],
    title: 'two proofs in one request are refused, so that none of them is chosen',
    config,
    send: (target) => {
      const bound = token(target, { cnf: { jkt: issuer.thumbprint } })
      const proof = issuer.proof(bound, { htu: audience(target), jti: 'twice' })
      return target.send(call('tools/list', {}, { headers: { Authorization: `DPoP ${bound}`, DPoP: [proof, proof] } }))
    },
    expect: { status: 400, code: 'DUPLICATE_HEADER' },
  },
  {
    id: 'O-070',
    area: 'Sessions',
    requirement: ['RS-07', 'SE-03'],
    title: 'a session goes on when its token is renewed, and is not another subject’s',
    config,
    send: async (target) => {
      const withToken = (request: Request, text: string): Request => ({
        ...request,
        headers: { ...request.headers, Authorization: `Bearer ${text}` },
      })
      const opened = await target.send(withToken(initialize(undefined), token(target, { jti: 'first' })))
      const session = opened.header('mcp-session-id') ?? expect.unreachable('no session was opened')
      target.sessions.push(session)
      const ping = (claims: JsonObject) =>
        target.send(withToken(message('ping', {}, { id: 1, session }), token(target, claims)))
      expect((await ping({ jti: 'second' })).status).toBe(200)
      expect((await ping({ sub: 'eve' })).status).toBe(404)
      expect((await ping({ org: 'Tenant B' })).status).toBe(404)
      return ping({ jti: 'third' })
    },
    expect: { status: 200 },
  },
  {
    id: 'X-176',
    area,
    requirement: ['CO-04'],
    title: 'a token and a key in one request are refused, whichever is good',
    config,
    send: (target) =>
      target.send(
        call(
          'tools/list',
          {},
          {
            headers: { Authorization: `Bearer ${token(target)}`, 'X-API-Key': target.key('A.read').text },
          },
        ),
      ),
    expect: { status: 400, code: 'INVALID_REQUEST' },
  },
  {
    id: 'X-177',
    area,
    requirement: ['RS-11'],
    title: 'nothing of a token is told again: not in an answer, not in the record, not in the log',
    config,
    send: async (target) => {
      const good = token(target)
      const bad = token(target, { aud: 'https://other.example' })
      const heard = target.heard.length
      const size = target.audit().length
      for (const text of [good, bad]) {
        await target.send(bearing(text))
        await target.send(tool('broken', {}, { headers: { Authorization: `Bearer ${text}` } }))
        await target.send({ body: '[[[', headers: { Authorization: `Bearer ${text}` } })
      }
      await target.settled(() => expect(target.audit().length).toBeGreaterThanOrEqual(size + 6))
      const told = [
        ...target.heard.slice(heard).map(({ bytes }) => bytes.toString('latin1')),
        JSON.stringify(target.audit()),
        target.log.join('\n'),
      ].join('\n')
      for (const part of [good, bad].flatMap((text) => text.split('.').slice(1))) expect(told).not.toContain(part)
      return undefined
    },
    may: ['broken'],
  },
]
