import { expect } from 'vitest'
import { type AttackCase, each } from '../attack-case.ts'
import type { Target } from '../harness.ts'
import { call, type Request, tool } from '../request.ts'

const area = 'Origin, host, CORS'

/** Every place and verb that something is served at. */
const places: readonly Request[] = [
  tool('write_note', { text: 'x' }, { as: 'A.admin' }),
  { as: 'A.admin', verb: 'GET' },
  { as: 'A.admin', verb: 'DELETE' },
  { as: 'A.admin', verb: 'OPTIONS' },
  { as: 'A.admin', verb: 'PUT' },
  { verb: 'GET', path: '/health' },
  { verb: 'HEAD', path: '/health' },
  { verb: 'GET', path: '/ready' },
  { verb: 'GET', path: '/.well-known/oauth-protected-resource' },
  { verb: 'GET', path: '/.well-known/oauth-protected-resource/mcp' },
  { as: 'A.admin', verb: 'GET', path: '/api/api-keys' },
  { as: 'A.admin', verb: 'POST', path: '/oauth/token' },
]

const everywhere = async (target: Target, headers: NonNullable<Request['headers']>) => {
  const answers = []
  for (const place of places) {
    const answer = await target.send({ ...place, headers: { ...place.headers, ...headers } })
    expect(answer.header('access-control-allow-origin')).toBeUndefined()
    if (place.verb !== 'HEAD') answers.push(answer)
    else expect(answer.status).toBe(403)
  }
  return answers
}

export const originCases: readonly AttackCase[] = [
  ...each(
    {
      id: 'O-026',
      area,
      requirement: ['OH-02', 'OH-03', 'CO-02'],
      title: 'a page that is not on the list is refused at every path and verb, before it is asked who it is',
      expect: { status: 403, code: 'ORIGIN_REFUSED', audit: { type: 'edge', success: false, code: 'ORIGIN_REFUSED' } },
    },
    Object.fromEntries(
      [
        'https://evil.example',
        'null',
        'file://',
        'chrome-extension://abcdef',
        'https://app.example.evil.com',
        'https://appXexample',
        'http://app.example',
        'https://app.example:444',
        'https://app.example:443',
        'https://app.example/',
        'https://APP.example',
        'https://app.example.',
        'https://x@app.example',
        'https://app.example, https://evil.example',
        '',
        'app.example',
        '*',
      ].map((origin): [string, AttackCase['send']] => [
        JSON.stringify(origin),
        (target) => everywhere(target, { Origin: origin }),
      ]),
    ),
  ),
  ...each(
    {
      id: 'O-028',
      area,
      requirement: ['OH-01', 'OH-03', 'CO-01'],
      title: 'a host that is not on the list is refused everywhere, and not said back',
      expect: { status: 403, code: 'HOST_REFUSED', audit: { type: 'edge', success: false, code: 'HOST_REFUSED' } },
    },
    {
      'evil.example': (target) => everywhere(target, { Host: 'evil.example' }),
      'evil.example with our port': (target) => everywhere(target, { Host: `evil.example:${target.port}` }),
      'a look-alike of localhost': (target) => everywhere(target, { Host: `localhost.evil.example:${target.port}` }),
      'a look-alike of our address': (target) => everywhere(target, { Host: `127.0.0.1.evil.example:${target.port}` }),
      'another port': (target) => everywhere(target, { Host: '127.0.0.1:1' }),
      'no port': (target) => everywhere(target, { Host: '127.0.0.1' }),
      'a short form of our address': (target) => everywhere(target, { Host: `127.1:${target.port}` }),
      'a number that is our address': (target) => everywhere(target, { Host: `0x7f000001:${target.port}` }),
      'the port with a zero before it': (target) =>
        everywhere(target, { Host: `127.0.0.1:0${target.port}`.slice(0, 15) }),
      'every address': (target) => everywhere(target, { Host: `0.0.0.0:${target.port}` }),
    },
  ),
  ...each(
    {
      id: 'X-040',
      area,
      requirement: ['OH-01', 'CO-01'],
      title: 'what is no host is refused, though a URL parser would read our own in it',
      expect: { status: 400, code: 'INVALID_HOST', audit: { type: 'edge', success: false } },
    },
    Object.fromEntries(
      [
        'x@localhost',
        'localhost/evil',
        'localhost#e',
        'localhost?e',
        'local host',
        'localhost,evil.example',
        '\u2460\u2461\u2466',
      ].map((host): [string, AttackCase['send']] => [
        JSON.stringify(host),
        (target) =>
          target.send({
            ...tool('write_note', { text: 'x' }, { as: 'A.admin' }),
            headers: { Host: Buffer.from(`${host}:${target.port}`).toString('latin1') },
          }),
      ]),
    ),
  ),
  ...each(
    {
      id: 'X-041',
      area,
      requirement: ['OH-01'],
      title: 'every name of loopback is ours on loopback',
      expect: { status: 200 },
    },
    {
      localhost: (target) =>
        target.send(call('tools/list', {}, { as: 'A.read', headers: { Host: `localhost:${target.port}` } })),
      capitals: (target) =>
        target.send(call('tools/list', {}, { as: 'A.read', headers: { Host: `LocalHost:${target.port}` } })),
      IPv6: (target) =>
        target.send(call('tools/list', {}, { as: 'A.read', headers: { Host: `[::1]:${target.port}` } })),
    },
  ),
  {
    id: 'X-042',
    area,
    requirement: ['OH-05'],
    title: 'a page on the list is named in the answer, also in a refusal, and never offered credentials',
    send: async (target) => [
      await target.send(call('tools/list', {}, { as: 'A.read', headers: { Origin: 'https://app.example' } })),
      await target.send(call('tools/list', {}, { headers: { Origin: 'https://app.example' } })),
      await target.send(
        tool('write_note', { text: 'x' }, { as: 'A.read', headers: { Origin: 'https://app.example' } }),
      ),
    ],
    expect: {
      headers: {
        'Access-Control-Allow-Origin': 'https://app.example',
        'Access-Control-Expose-Headers': /Mcp-Session-Id, WWW-Authenticate, Retry-After, RateLimit, RateLimit-Policy/,
        'Access-Control-Allow-Credentials': null,
        Vary: 'Origin',
      },
    },
  },
  {
    id: 'O-031',
    area,
    requirement: ['OH-05', 'OH-06'],
    title: 'a preflight needs no key, runs nothing and says only what a page needs',
    send: async (target) => {
      const answers = []
      for (const path of ['/mcp', '/health']) {
        answers.push(
          await target.send({
            verb: 'OPTIONS',
            path,
            headers: {
              Origin: 'https://app.example',
              'Access-Control-Request-Method': 'POST',
              'Access-Control-Request-Headers': 'authorization,mcp-session-id,x-evil',
            },
          }),
        )
      }
      expect(answers[0]?.header('access-control-allow-methods')).toBe('POST, GET, DELETE')
      return answers
    },
    expect: {
      status: 204,
      headers: {
        'Access-Control-Allow-Origin': 'https://app.example',
        'Access-Control-Allow-Headers':
          'Authorization, DPoP, Content-Type, X-API-Key, MCP-Protocol-Version, Mcp-Session-Id, Mcp-Method, Mcp-Name, Last-Event-ID',
        'Access-Control-Allow-Credentials': null,
        'Access-Control-Max-Age': '7200',
        Vary: 'Origin',
      },
    },
  },
  ...each(
    {
      id: 'X-043',
      area,
      requirement: ['OH-08'],
      title: 'a request that a browser says comes from another site changes nothing',
      expect: {
        status: 403,
        code: 'ORIGIN_REFUSED',
        audit: { type: 'edge', success: false, reason: 'sec-fetch-site' },
      },
    },
    {
      POST: (target) =>
        target.send(tool('write_note', { text: 'x' }, { as: 'A.write', headers: { 'Sec-Fetch-Site': 'cross-site' } })),
      DELETE: (target) => target.send({ as: 'A.write', verb: 'DELETE', headers: { 'Sec-Fetch-Site': 'cross-site' } }),
    },
  ),
  {
    id: 'O-032',
    area,
    requirement: ['OH-07'],
    title: 'wrong keys with a new forwarded address each count against the address of the socket',
    alone: true,
    config: { rateLimit: { failuresMax: 10 } },
    send: async (target) => {
      const statuses: number[] = []
      for (let at = 0; at < 40; at++) {
        const answer = await target.send(
          call(
            'tools/list',
            {},
            {
              headers: {
                Authorization: `Bearer wrong-${at}`,
                'X-Forwarded-For': `1.2.3.${at}`,
                Forwarded: `for=1.2.3.${at}`,
                'X-Real-IP': `1.2.3.${at}`,
                'X-Forwarded-Host': 'good.example',
                'X-Forwarded-Proto': 'https',
              },
            },
          ),
        )
        statuses.push(answer.status)
      }
      expect(new Set(statuses.slice(0, 10))).toEqual(new Set([401]))
      expect(statuses.filter((status) => status === 429).length).toBeGreaterThanOrEqual(25)
      expect(target.audit().filter(({ ip }) => ip !== undefined && ip !== '127.0.0.1')).toEqual([])
      return undefined
    },
    expect: { audit: { type: 'rate_limit', success: false, code: 'RATE_LIMITED', ip: '127.0.0.1' } },
  },
  ...each(
    {
      id: 'X-044',
      area,
      requirement: ['OH-07'],
      title: 'behind a named proxy the right-most address that is not a proxy counts',
      config: { server: { trustedProxies: ['127.0.0.0/8', '10.0.0.0/8'] } },
    },
    Object.fromEntries(
      [
        ['6.6.6.6, 1.2.3.4', '1.2.3.4'],
        ['6.6.6.6, 1.2.3.4, 10.1.1.1', '1.2.3.4'],
        ['1.2.3.4, not-an-address', '127.0.0.1'],
        ['', '127.0.0.1'],
        ['::ffff:9.9.9.9', '9.9.9.9'],
        ['1.2.3.4:5678', '127.0.0.1'],
      ].map(([forwarded = '', ip = '']): [string, AttackCase['send']] => [
        JSON.stringify(forwarded),
        async (target) => {
          const size = target.auditBytes().length
          await target.send(call('tools/list', {}, { headers: { 'X-Forwarded-For': forwarded } }))
          await target.settled(() =>
            expect(target.audit(size)).toContainEqual(expect.objectContaining({ ip, code: 'MISSING_API_KEY' })),
          )
          return undefined
        },
      ]),
    ),
  ),
  ...each(
    {
      id: 'X-045',
      area,
      requirement: ['OH-04', 'SC-06'],
      title: 'an empty list of pages denies every page',
      config: { cors: { allowedOrigins: [] } },
      expect: { status: 403, code: 'ORIGIN_REFUSED' },
    },
    { 'once allowed': (target) => everywhere(target, { Origin: 'https://app.example' }) },
  ),
]
