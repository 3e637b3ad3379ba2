import { expect } from 'vitest'
import { type AttackCase, each } from '../attack-case.ts'
import { planted } from '../invariants.ts'
import { call, tool } from '../request.ts'

const area = 'Transport: paths and verbs'
const write = tool('write_note', { text: 'x' }, { as: 'A.write' })

export const pathCases: readonly AttackCase[] = [
  ...each(
    {
      id: 'O-007',
      area,
      requirement: ['TR-07', 'CO-01'],
      title: 'a target that is not a plain path is refused',
      expect: { status: 400, code: 'INVALID_TARGET', audit: { type: 'edge', success: false } },
    },
    {
      'absolute form': (target) => target.send({ ...write, path: 'http://evil.example/mcp' }),
      'absolute form of our own': (target) => target.send({ ...write, path: `http://${target.host}/mcp` }),
      asterisk: (target) => target.send({ ...write, path: '*' }),
    },
  ),
  ...each(
    {
      id: 'O-008',
      area,
      requirement: ['TR-07', 'CO-10'],
      title: 'a verb that is not served is refused, and nothing of the request is said back',
      expect: { status: 405, code: 'METHOD_NOT_ALLOWED', headers: { Allow: 'POST, GET, DELETE, OPTIONS' } },
    },
    Object.fromEntries(
      ['TRACE', 'PUT', 'PATCH', 'HEAD', 'PROPFIND'].map((verb) => [
        verb,
        async (target) => {
          const { body: _, ...bare } = write
          const answer = await target.send({ ...bare, verb, headers: { 'X-Planted': planted } })
          expect(answer.text).not.toContain(planted)
          return verb === 'HEAD' ? undefined : answer
        },
      ]),
    ),
  ),
  {
    id: 'O-008',
    sub: 'CONNECT',
    area,
    requirement: ['TR-07'],
    title: 'no tunnel is opened',
    send: async (target) => {
      const { answers, connection } = await target.raw(
        `CONNECT 127.0.0.1:${target.port} HTTP/1.1\r\nHost: ${target.host}\r\n\r\n`,
      )
      await connection.whenClosed()
      expect(answers).toEqual([])
      return undefined
    },
  },
  ...each(
    {
      id: 'X-010',
      area,
      requirement: ['TR-07'],
      title: 'no upgrade is made',
      expect: { status: 400, code: 'INVALID_TARGET', audit: { type: 'edge', success: false, reason: 'upgrade' } },
    },
    {
      websocket: (target) =>
        target.send({
          as: 'A.write',
          verb: 'GET',
          headers: {
            Connection: 'Upgrade',
            Upgrade: 'websocket',
            'Sec-WebSocket-Version': '13',
            'Sec-WebSocket-Key': 'AAAAAAAAAAAAAAAAAAAAAA==',
          },
        }),
      h2c: (target) => target.send({ ...write, headers: { Connection: 'Upgrade, HTTP2-Settings', Upgrade: 'h2c' } }),
    },
  ),
  ...each(
    {
      id: 'X-011',
      area,
      requirement: ['TR-07', 'CO-01'],
      title: 'a request that names no host is refused',
      expect: { status: 400, code: 'INVALID_HOST', audit: { type: 'edge', success: false } },
    },
    {
      'HTTP/1.0': async (target) => (await target.raw('GET /health HTTP/1.0\r\n\r\n', 'GET')).answers,
      'HTTP/1.1': (target) => target.send({ ...write, headers: { Host: null } }),
      empty: (target) => target.send({ ...write, headers: { Host: '' } }),
    },
  ),
  ...each(
    {
      id: 'X-012',
      area,
      requirement: ['TR-10'],
      title: 'another spelling of a path reaches nothing, with or without a key',
      expect: { status: 404, code: 'NOT_FOUND' },
    },
    Object.fromEntries(
      [
        '//mcp',
        '/mcp/',
        '/./mcp',
        '/%6dcp',
        '/MCP',
        '/mcp;x',
        '/mcp.',
        '/mcp%2f',
        '/mcp%00',
        '/health/../mcp',
        '/x/..%2fmcp',
        '/\\mcp',
        '/mcp#x',
        '/mcp_message',
        '/health/',
        '/HEALTH',
        '/health;x',
        '/api/users',
        '/metrics',
        '/.env',
        '/constructor',
        '/__proto__',
      ].map((path) => [
        path,
        async (target) => [await target.send({ ...write, path }), await target.send({ ...call('tools/list'), path })],
      ]),
    ),
  ),
  {
    id: 'X-013',
    area,
    requirement: ['TR-10', 'TR-09'],
    title: 'the word health in a path exempts nothing',
    send: async (target) => [
      await target.send({ ...call('tools/list'), path: '/mcp?/health' }),
      await target.send({ verb: 'GET', path: '/mcp?path=/health' }),
    ],
    expect: { status: 401, code: 'MISSING_API_KEY' },
  },
]
