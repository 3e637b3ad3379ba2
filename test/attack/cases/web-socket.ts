import { expect } from 'vitest'
import type { ConfigInput } from '../../../packages/merlon/src/config/schema.ts'
import { localOperator } from '../../../packages/merlon/src/identity/actor.ts'
import {
  frame,
  handshake,
  type OpenOptions,
  opcodes,
  opening,
  type RawSocket,
  stateless,
} from '../../socket/raw-socket.ts'
import { type AttackCase, each } from '../attack-case.ts'
import type { Answer } from '../connection.ts'
import type { Target } from '../harness.ts'
import { ledger } from '../project/src/ledger.ts'
import { call, type Person, tool } from '../request.ts'

const area = 'WebSocket'
const on: ConfigInput = { webSocket: { enabled: true } }
const page = 'https://app.example'
const progress = { progressToken: 'p' }

/** Asks for a socket and answers with what came instead; the connection is closed then. */
async function refused(target: Target, as: Person | undefined, options: OpenOptions = {}): Promise<Answer> {
  const connection = await target.connect(as)
  const key = as === undefined ? undefined : target.key(as).text
  connection.write(handshake(target.port, key, options), 'GET')
  const answer = await connection.answer()
  if (answer === undefined) throw new Error('the connection was closed without an answer')
  await connection.whenClosed()
  return answer
}

const opens =
  (as: Person | undefined, options: OpenOptions = {}) =>
  (target: Target) =>
    refused(target, as, options)

async function ticketFor(target: Target, as: Person, origin: string | null): Promise<string> {
  const answer = await target.send({ as, path: '/mcp/ticket', headers: { Origin: origin } })
  expect(answer.status).toBe(200)
  return (JSON.parse(answer.text) as { ticket: string }).ticket
}

const withTicket = (ticket: string, origin: string | null): OpenOptions => ({
  headers: { 'Sec-WebSocket-Protocol': `mcp, mcp.ticket.${ticket}`, Origin: origin },
})

/** Sends frames and answers with the code that the socket was closed with, when it is gone. */
async function closes(socket: RawSocket, ...frames: readonly Buffer[]): Promise<number> {
  for (const each of frames) socket.write(each)
  const code = await socket.closedWith()
  await socket.gone()
  return code
}

const listed = (id: number) => stateless(id, 'tools/list')
const slow = (id: number) => stateless(id, 'tools/call', { name: 'slow', arguments: {} }, progress)

const atTheDoor: readonly AttackCase[] = [
  ...each(
    {
      id: 'O-092',
      area,
      requirement: ['WS-01'],
      title: 'no socket is opened without a good credential',
      config: on,
      expect: { status: 401, audit: { type: 'auth', success: false } },
    },
    {
      none: opens(undefined),
      'one that is not known': opens(undefined, { headers: { Authorization: 'Bearer mrl_000000000000_0' } }),
      'in the address': async (target) => {
        const key = target.key('A.read').text
        return refused(target, undefined, { path: `/mcp?key=${key}&access_token=${key}&ticket=${key}` })
      },
      'in the list of subprotocols': async (target) =>
        refused(target, undefined, {
          headers: { 'Sec-WebSocket-Protocol': `mcp, bearer.${target.key('A.read').text}` },
        }),
      'in a cookie': async (target) =>
        refused(target, undefined, { headers: { Cookie: `key=${target.key('A.read').text}` } }),
    },
  ),
  ...each(
    {
      id: 'O-092',
      area,
      requirement: ['WS-01', 'OH-02'],
      title: 'a page that is not on the list opens none, and one that hides which it is neither',
      config: on,
      expect: { status: 403, code: 'ORIGIN_REFUSED', audit: { type: 'edge', code: 'ORIGIN_REFUSED' } },
    },
    {
      strange: opens('A.read', { headers: { Origin: 'https://evil.example' } }),
      null: opens('A.read', { headers: { Origin: 'null' } }),
      'look-alike': opens('A.read', { headers: { Origin: `${page}.evil.example` } }),
      hidden: opens('A.read', { headers: { 'Sec-Fetch-Site': 'cross-site' } }),
      'hidden, of the same site': opens('A.read', { headers: { 'Sec-Fetch-Site': 'same-site' } }),
    },
  ),
  {
    id: 'O-092',
    sub: 'host',
    area,
    requirement: ['WS-01', 'OH-01'],
    title: 'a host that is not served opens none',
    config: on,
    send: opens('A.read', { headers: { Host: 'rebound.example' } }),
    expect: { status: 403, code: 'HOST_REFUSED', audit: { type: 'edge', code: 'HOST_REFUSED' } },
  },
  ...each(
    {
      id: 'O-092',
      area,
      requirement: ['WS-01', 'TR-10'],
      title: 'a socket is opened at the endpoint and at no other spelling of it',
      config: on,
      expect: { status: 404, code: 'NOT_FOUND' },
    },
    Object.fromEntries(
      ['/', '/mcp/', '//mcp', '/MCP', '/mcp/ticket', '/health', '/%6dcp'].map((path) => [
        path,
        opens('A.read', { path }),
      ]),
    ),
  ),
  ...each(
    {
      id: 'O-092',
      area,
      requirement: ['WS-01', 'WS-06'],
      title: 'what is no handshake of ours is refused before anybody is asked who they are',
      config: on,
      expect: { status: 400, code: 'INVALID_HANDSHAKE', audit: { type: 'edge', code: 'INVALID_HANDSHAKE' } },
    },
    {
      'no version': opens('A.read', { headers: { 'Sec-WebSocket-Version': null } }),
      'an old version': opens('A.read', { headers: { 'Sec-WebSocket-Version': '8' } }),
      'no key': opens('A.read', { headers: { 'Sec-WebSocket-Key': null } }),
      'a short key': opens('A.read', { headers: { 'Sec-WebSocket-Key': 'AAAA' } }),
      'no subprotocol': opens('A.read', { headers: { 'Sec-WebSocket-Protocol': null } }),
      'another subprotocol': opens('A.read', { headers: { 'Sec-WebSocket-Protocol': 'graphql-ws' } }),
      'a subprotocol twice': opens('A.read', { headers: { 'Sec-WebSocket-Protocol': 'mcp, mcp' } }),
      'a list that cannot be read': opens('A.read', { headers: { 'Sec-WebSocket-Protocol': 'mcp,,' } }),
      'a body': opens('A.read', { headers: { 'Content-Length': '4' } }),
      'a body in chunks': opens('A.read', { headers: { 'Transfer-Encoding': 'chunked' } }),
    },
  ),
  ...each(
    {
      id: 'X-300',
      area,
      requirement: ['WS-01', 'TR-07'],
      title: 'an upgrade to anything else is refused, and a socket is not asked for with another method',
      config: on,
      expect: { status: 400, code: 'INVALID_TARGET' },
    },
    {
      h2c: opens('A.read', { headers: { Upgrade: 'h2c' } }),
      'two of them': opens('A.read', { headers: { Upgrade: 'websocket, h2c' } }),
    },
  ),
  {
    id: 'X-300',
    sub: 'POST',
    area,
    requirement: ['WS-01', 'CO-10'],
    title: 'a socket is asked for with GET',
    config: on,
    send: opens('A.read', { verb: 'POST' }),
    expect: { status: 405, headers: { allow: 'GET' } },
  },
  ...each(
    {
      id: 'X-301',
      area,
      requirement: ['WS-01', 'TR-06'],
      title: 'a header of the handshake is said once',
      config: on,
      expect: { status: 400, code: 'DUPLICATE_HEADER' },
    },
    Object.fromEntries(
      [
        ['Authorization', ['Bearer a', 'Bearer b']],
        ['Sec-WebSocket-Key', ['dGhlIHNhbXBsZSBub25jZQ==', 'dGhlIHNhbXBsZSBub25jZQ==']],
        ['Sec-WebSocket-Protocol', ['mcp', 'mcp.ticket.x']],
        ['Origin', [page, page]],
      ].map(([name, values]) => [name, opens('A.read', { headers: { [name as string]: values as string[] } })]),
    ),
  ),
  {
    id: 'X-302',
    area,
    requirement: ['WS-01', 'TR-07'],
    title: 'where sockets are not served an upgrade is refused as before',
    send: opens('A.read'),
    expect: { status: 400, code: 'INVALID_TARGET' },
  },
  {
    id: 'X-303',
    area,
    requirement: ['WS-01', 'TR-04'],
    title: 'a handshake behind a request that is still answered ends the connection, and answers nothing between',
    config: on,
    send: async (target) => {
      const connection = await target.connect('A.read')
      connection.write(target.bytesOf(tool('slow', {}, { as: 'A.read' })), 'POST')
      connection.write(handshake(target.port, target.key('A.read').text))
      await connection.whenClosed()
      expect(connection.answers).toEqual([])
      return undefined
    },
  },
  {
    id: 'X-304',
    area,
    requirement: ['WS-01', 'RL-03'],
    title: 'guesses at the door of a socket count as any others',
    config: { ...on, rateLimit: { failuresMax: 3, rules: [] } },
    alone: true,
    send: async (target) => {
      const wrong = () => refused(target, undefined, { headers: { 'X-API-Key': 'mrl_000000000000_0' } })
      const ticket = () => refused(target, undefined, withTicket('x'.repeat(43), page))
      const statuses = [await wrong(), await ticket(), await wrong()].map(({ status }) => status)
      expect(statuses).toEqual([401, 401, 401])
      return [await wrong(), await ticket()]
    },
    expect: { status: 429, code: 'RATE_LIMITED', headers: { 'retry-after': /^[0-9]+$/ } },
  },
  {
    id: 'X-305',
    area,
    requirement: ['WS-05', 'CO-17'],
    title: 'nobody has more sockets than their number, and others still have theirs',
    config: { webSocket: { enabled: true, perPrincipalMax: 2 } },
    send: async (target) => {
      await target.openSocket('A.read')
      const second = await target.openSocket('A.read')
      const full = await refused(target, 'A.read')
      const other = await target.openSocket('B.read')
      expect(await other.ask(listed(1))).toHaveProperty('result')
      second.destroy()
      await target.settled(async () => expect(await target.openSocket('A.read')).toHaveProperty('closed', false))
      return full
    },
    expect: { status: 503, code: 'OVERLOADED', ours: [503], headers: { 'retry-after': '5' } },
  },
  {
    id: 'X-306',
    area,
    requirement: ['WS-05', 'CO-17'],
    title: 'all together have no more than theirs',
    config: { webSocket: { enabled: true, totalMax: 2 } },
    send: async (target) => {
      await target.openSocket('A.read')
      await target.openSocket('B.read')
      return refused(target, 'A.write')
    },
    expect: { status: 503, code: 'OVERLOADED', ours: [503] },
  },
]

const tickets: readonly AttackCase[] = [
  {
    id: 'X-310',
    area,
    requirement: ['WS-02', 'WS-06'],
    title: 'a page opens a socket with a ticket, which is good once; the answer repeats none of it',
    config: on,
    send: async (target) => {
      const ticket = await ticketFor(target, 'A.read', page)
      const socket = await target.openSocket(undefined, withTicket(ticket, page))
      expect(socket.header('Sec-WebSocket-Protocol')).toBe('mcp')
      expect(socket.head).not.toContain(ticket)
      expect(await socket.ask(listed(1))).toHaveProperty('result')
      return refused(target, undefined, withTicket(ticket, page))
    },
    expect: { status: 401, code: 'INVALID_API_KEY', audit: { type: 'auth', success: false, reason: 'ticket' } },
  },
  ...each(
    {
      id: 'X-311',
      area,
      requirement: ['WS-02'],
      title: 'a ticket is good for the page that asked for it, for half a minute, and alone',
      config: on,
      alone: true,
      expect: { status: 401, code: 'INVALID_API_KEY' },
    },
    {
      'of another page': async (target) => {
        const ticket = await ticketFor(target, 'A.read', null)
        return refused(target, undefined, withTicket(ticket, page))
      },
      'of a page, without one': async (target) => {
        const ticket = await ticketFor(target, 'A.read', page)
        return refused(target, undefined, withTicket(ticket, null))
      },
      'after half a minute': async (target) => {
        const ticket = await ticketFor(target, 'A.read', page)
        target.advance(30_000)
        return refused(target, undefined, withTicket(ticket, page))
      },
      'after its key was revoked': async (target) => {
        const ticket = await ticketFor(target, 'A.read', page)
        await target.server.keys.revokeKey(target.key('A.read').id, localOperator)
        await target.settled(async () => {
          expect((await target.send(call('tools/list', {}, { as: 'A.read' }))).status).toBe(401)
        })
        return refused(target, undefined, withTicket(ticket, page))
      },
      'of two': async (target) => {
        const both = [await ticketFor(target, 'A.read', page), await ticketFor(target, 'A.read', page)]
        return refused(target, undefined, {
          headers: { 'Sec-WebSocket-Protocol': `mcp, mcp.ticket.${both[0]}, mcp.ticket.${both[1]}`, Origin: page },
        })
      },
      'that was tried by another page before': async (target) => {
        const ticket = await ticketFor(target, 'A.read', page)
        await refused(target, undefined, withTicket(ticket, null))
        return refused(target, undefined, withTicket(ticket, page))
      },
      'in the place of a key': async (target) => {
        const ticket = await ticketFor(target, 'A.read', null)
        return target.send(call('tools/list', {}, { headers: { Authorization: `Bearer ${ticket}` } }))
      },
    },
  ),
  {
    id: 'X-312',
    area,
    requirement: ['WS-02', 'CO-04'],
    title: 'a ticket beside a credential is two of them',
    config: on,
    send: async (target) => {
      const ticket = await ticketFor(target, 'A.read', null)
      return refused(target, 'A.write', withTicket(ticket, null))
    },
    expect: { status: 400, code: 'INVALID_REQUEST' },
  },
  ...each(
    {
      id: 'X-313',
      area,
      requirement: ['WS-02', 'CO-03'],
      title: 'a ticket is given for a good credential, and for nothing else',
      config: on,
      expect: { status: 401 },
    },
    {
      none: (target) => target.send({ path: '/mcp/ticket' }),
      'a bad one': (target) => target.send({ path: '/mcp/ticket', headers: { Authorization: 'Bearer mrl_x' } }),
    },
  ),
  {
    id: 'X-314',
    area,
    requirement: ['WS-02', 'CO-17'],
    title: 'nobody holds tickets without end, and others still get theirs',
    config: on,
    alone: true,
    send: async (target) => {
      for (let given = 0; given < 10; given++) await ticketFor(target, 'A.read', page)
      await ticketFor(target, 'B.read', page)
      const full = await target.send({ as: 'A.read', path: '/mcp/ticket', headers: { Origin: page } })
      target.advance(30_000)
      await ticketFor(target, 'A.read', page)
      return full
    },
    expect: { status: 503, code: 'OVERLOADED', ours: [503] },
  },
]

const frames: readonly AttackCase[] = [
  ...each(
    {
      id: 'O-093',
      area,
      requirement: ['WS-04'],
      title: 'a message beyond its size closes the socket before it is read',
      config: on,
      expect: { audit: { success: false, code: 'BODY_TOO_LARGE' } },
    },
    {
      'two mebibytes': async (target) => {
        const socket = await target.openSocket('A.read')
        expect(await closes(socket, frame(opcodes.text, Buffer.alloc(2_097_152, 0x20)))).toBe(1009)
        return undefined
      },
      'the length alone': async (target) => {
        const socket = await target.openSocket('A.read')
        expect(await closes(socket, frame(opcodes.text, '', { length: 1_048_577 }))).toBe(1009)
        return undefined
      },
      'a length beyond all numbers': async (target) => {
        const socket = await target.openSocket('A.read')
        const head = frame(opcodes.text, '', { length: 2 ** 40 })
        head.writeUInt32BE(0x7fffffff, 2)
        expect(await closes(socket, head)).toBe(1009)
        return undefined
      },
      'in pieces': async (target) => {
        const socket = await target.openSocket('A.read')
        const half = Buffer.alloc(600_000, 0x20)
        expect(
          await closes(
            socket,
            frame(opcodes.text, half, { fin: false }),
            frame(opcodes.continuation, half, { fin: false }),
          ),
        ).toBe(1009)
        return undefined
      },
    },
  ),
  {
    id: 'O-093',
    sub: 'compressed',
    area,
    requirement: ['WS-04'],
    title: 'compression is not agreed on, and what is compressed all the same closes the socket',
    config: on,
    send: async (target) => {
      const socket = await target.openSocket('A.read', {
        headers: { 'Sec-WebSocket-Extensions': 'permessage-deflate; client_max_window_bits' },
      })
      expect(socket.header('Sec-WebSocket-Extensions')).toBeUndefined()
      // 1 MiB of nothing, deflated a thousandfold, would begin like this.
      const bomb = Buffer.from('ecc101010000008020feafee', 'hex')
      expect(await closes(socket, frame(opcodes.text, bomb, { rsv: 4 }))).toBe(1002)
      return undefined
    },
    expect: { audit: { success: false, code: 'INVALID_REQUEST', reason: 'unexpected_rsv_1' } },
  },
  {
    id: 'O-094',
    area,
    requirement: ['WS-04'],
    title: 'pieces without end close the socket early, and cost no memory',
    config: { webSocket: { enabled: true, perPrincipalMax: 30 } },
    alone: true,
    send: async (target) => {
      const sockets = []
      for (let at = 0; at < 30; at++) sockets.push(await target.openSocket('A.read'))
      const piece = frame(opcodes.continuation, 'x', { fin: false })
      const pieces = Buffer.concat(Array.from({ length: 20_000 }, () => piece))
      const before = process.memoryUsage().rss
      for (const socket of sockets) {
        socket.write(frame(opcodes.text, 'x', { fin: false }))
        // 200,000 of them, for as long as somebody reads.
        for (let sent = 0; sent < 10 && !socket.closed; sent++) {
          socket.write(pieces)
          await new Promise((resolve) => setImmediate(resolve))
        }
        expect(await socket.closedWith()).toBe(1008)
        await socket.gone()
      }
      // What the clients themselves have written is in the same process.
      expect(process.memoryUsage().rss - before).toBeLessThan(32 * 1_048_576 + pieces.length * 30)
      return undefined
    },
    expect: { audit: { success: false, code: 'BODY_TOO_LARGE', reason: 'too_many_buffered_parts' } },
  },
  ...each(
    {
      id: 'X-320',
      area,
      requirement: ['WS-04'],
      title: 'a message that does not come whole in ten seconds closes the socket',
      config: on,
      alone: true,
      expect: { audit: { success: false, code: 'REQUEST_TIMEOUT' } },
    },
    Object.fromEntries(
      (
        [
          ['half a frame', () => [frame(opcodes.text, 'x', { length: 100 })]],
          ['half a head', () => [frame(opcodes.text, 'x'.repeat(200)).subarray(0, 3)]],
          ['a piece', () => [frame(opcodes.text, '{', { fin: false })]],
          ['a piece, and pings', () => [frame(opcodes.text, '{', { fin: false }), frame(opcodes.ping, 'x')]],
        ] as const
      ).map(([sub, bytes]) => [
        sub,
        async (target: Target) => {
          const socket = await target.openSocket('A.read')
          // It is seen at one beat, and is too old at a later one.
          const beats = setInterval(() => {
            socket.write(frame(opcodes.ping))
            target.advance(5_000)
          }, 500)
          try {
            for (const each of bytes()) socket.write(each)
            expect(await socket.closedWith()).toBe(1008)
          } finally {
            clearInterval(beats)
          }
          return undefined
        },
      ]),
    ),
  ),
  ...each(
    {
      id: 'X-321',
      area,
      requirement: ['WS-04', 'TR-12'],
      title: 'what is not text in UTF-8, or no frame of a client, closes the socket with the code that says so',
      config: on,
      expect: { audit: { success: false } },
    },
    Object.fromEntries(
      (
        [
          ['binary', 1003, frame(opcodes.binary, JSON.stringify({ jsonrpc: '2.0', ...listed(1) }))],
          ['bytes that are no UTF-8', 1007, frame(opcodes.text, Buffer.from('7b22ff223a317d', 'hex'))],
          ['half a surrogate', 1007, frame(opcodes.text, Buffer.from('eda080', 'hex'))],
          ['a frame that is not masked', 1002, frame(opcodes.text, '{}', { masked: false })],
          ['a continuation of nothing', 1002, frame(opcodes.continuation, '{}')],
          ['an opcode that means nothing', 1002, frame(3, '{}')],
          ['a ping in pieces', 1002, frame(opcodes.ping, 'x', { fin: false })],
          ['a ping that is too long', 1002, frame(opcodes.ping, 'x'.repeat(126))],
          ['a bit that is reserved', 1002, frame(opcodes.text, '{}', { rsv: 1 })],
        ] as const
      ).map(([sub, code, bytes]) => [
        sub,
        async (target: Target) => {
          const socket = await target.openSocket('A.read')
          expect(await closes(socket, bytes)).toBe(code)
          return undefined
        },
      ]),
    ),
  ),
  ...each(
    {
      id: 'X-322',
      area,
      requirement: ['WS-03', 'TR-14'],
      title: 'what is no message is answered once, recorded with who sent it, and the next message is taken',
      config: on,
      expect: { audit: { success: false, principal: expect.any(String), ip: '127.0.0.1' } },
    },
    Object.fromEntries(
      (
        [
          ['nonsense', 'nonsense', 'PARSE_ERROR'],
          ['nothing', '', 'PARSE_ERROR'],
          ['a batch', '[{"jsonrpc":"2.0","id":1,"method":"ping"}]', 'INVALID_REQUEST'],
          ['a key said twice', '{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}', 'INVALID_REQUEST'],
          [
            'a key of prototypes',
            '{"jsonrpc":"2.0","id":1,"method":"ping","params":{"__proto__":{}}}',
            'INVALID_REQUEST',
          ],
        ] as const
      ).map(([sub, text, code]) => [
        sub,
        async (target: Target) => {
          const socket = await target.openSocket('A.read')
          socket.write(frame(opcodes.text, text))
          const answer = await socket.next()
          expect(answer).toMatchObject({ error: { data: { code } } })
          expect(answer).not.toHaveProperty('id')
          expect(await socket.ask(listed(7))).toHaveProperty('result')
          return undefined
        },
      ]),
    ),
  ),
  {
    id: 'X-323',
    area,
    requirement: ['WS-05'],
    title: 'pings without end close the socket',
    config: on,
    send: async (target) => {
      const socket = await target.openSocket('A.read')
      expect(await closes(socket, Buffer.concat(Array.from({ length: 500 }, () => frame(opcodes.ping))))).toBe(1008)
      return undefined
    },
    expect: { audit: { type: 'rate_limit', success: false, reason: 'controls' } },
  },
]

const inside: readonly AttackCase[] = [
  {
    id: 'X-330',
    area,
    requirement: ['WS-03', 'AU-03'],
    title: 'a message may what its credential may: no tool without its scope, and what is hidden is not there',
    config: on,
    send: async (target) => {
      const socket = await target.openSocket('A.read')
      const callOf = (id: number, name: string, args = {}) =>
        socket.ask(stateless(id, 'tools/call', { name, arguments: args }))
      expect(await callOf(1, 'write_note', { text: 'x' })).toMatchObject({
        id: 1,
        error: { data: { code: 'INSUFFICIENT_SCOPE', scope: 'write' } },
      })
      const hidden = await callOf(2, 'admin_status')
      expect(hidden.error).toEqual((await callOf(3, 'no_such_tool')).error)
      return undefined
    },
    expect: {
      audit: [
        { type: 'tool_access', success: false, tool: 'write_note', code: 'INSUFFICIENT_SCOPE', ip: '127.0.0.1' },
        { success: false, tool: 'admin_status', reason: 'hidden' },
      ],
    },
  },
  {
    id: 'X-331',
    area,
    requirement: ['WS-03', 'AK-07'],
    title: 'a revoked key closes its sockets, those that are idle too, and those of others go on',
    config: on,
    alone: true,
    send: async (target) => {
      const idle = await target.openSocket('A.read')
      const busy = await target.openSocket('A.read')
      const listening = await target.openSocket('A.read')
      const other = await target.openSocket('A.write')
      busy.send(slow(1))
      listening.send(stateless(1, 'subscriptions/listen', { notifications: { toolsListChanged: true } }))
      await busy.next()
      await listening.next()
      const aborted = ledger().aborted.length
      await target.server.keys.revokeKey(target.key('A.read').id, localOperator)
      for (const socket of [idle, busy, listening]) expect(await socket.closedWith()).toBe(4401)
      await target.settled(() => expect(ledger().aborted.length - aborted).toBe(1))
      expect(await busy.answer(1)).toMatchObject({ error: { code: 40102 } })
      expect(await other.ask(listed(1))).toHaveProperty('result')
      return refused(target, 'A.read')
    },
    expect: { status: 401, audit: { type: 'session', action: 'socket.close', outcome: '4401' } },
  },
  {
    id: 'X-332',
    area,
    requirement: ['WS-03', 'AK-07'],
    title: 'a key that ends takes its sockets with it',
    config: on,
    alone: true,
    send: async (target) => {
      const socket = await target.openSocket('A.read')
      target.advance(91 * 86_400_000)
      expect(await socket.closedWith()).toBe(4401)
      target.advance(-91 * 86_400_000)
      return undefined
    },
  },
  {
    id: 'X-333',
    area,
    requirement: ['WS-03'],
    title: 'a key whose rights change closes its sockets when what is under way has been answered',
    config: on,
    alone: true,
    send: async (target) => {
      const socket = await target.openSocket('A.write')
      expect(await socket.ask(stateless(1, 'tools/call', { name: 'echo', arguments: {} }))).toHaveProperty('result')
      socket.send(slow(2))
      await socket.next()
      const { id } = target.key('A.write')
      const changed = await target.server.keys.updateKey(id, { scopes: ['read'] }, localOperator)
      expect(changed.ok).toBe(true)
      await target.settled(async () => {
        const answer = await socket.ask(stateless(`try ${Math.random()}`, 'tools/list'))
        expect(answer).toMatchObject({ error: { data: { code: 'DRAINING' } } })
      })
      expect(socket.closing).toBeUndefined()
      socket.send({ method: 'notifications/cancelled', params: { requestId: 2 } })
      expect(await socket.closedWith()).toBe(1008)
      const again = await target.openSocket('A.write')
      expect(
        await again.ask(stateless(1, 'tools/call', { name: 'write_note', arguments: { text: 'x' } })),
      ).toMatchObject({ error: { data: { code: 'INSUFFICIENT_SCOPE' } } })
      return undefined
    },
  },
  {
    id: 'X-334',
    area,
    requirement: ['WS-03', 'RL-01'],
    title: 'messages count against the limits of a credential, over all its sockets and beside its POSTs',
    config: { ...on, rateLimit: { callsMax: 6, rules: [] } },
    alone: true,
    send: async (target) => {
      // Each socket is a call, as a GET is.
      const [one, two] = [await target.openSocket('A.read'), await target.openSocket('A.read')]
      expect((await target.send(call('tools/list', {}, { as: 'A.read' }))).status).toBe(200)
      expect(await one.ask(listed(1))).toHaveProperty('result')
      expect(await two.ask(listed(1))).toHaveProperty('result')
      one.write(frame(opcodes.text, 'nonsense'))
      await one.until(() => one.messages.length === 2, 'the answer to nonsense')
      expect(await two.ask(listed(2))).toMatchObject({
        id: 2,
        error: { code: 42901, data: { code: 'RATE_LIMITED', retryAfter: expect.any(Number) } },
      })
      return target.send(call('tools/list', {}, { as: 'A.read' }))
    },
    expect: { status: 429, audit: { type: 'rate_limit', success: false, reason: 'calls' } },
  },
  {
    id: 'X-335',
    area,
    requirement: ['WS-03', 'RL-01'],
    title: 'messages over sockets have a limit of their own, which counts what cannot be read as well',
    config: { webSocket: { enabled: true, callsMax: 3 } },
    alone: true,
    send: async (target) => {
      const socket = await target.openSocket('A.read')
      for (let at = 0; at < 3; at++) socket.write(frame(opcodes.text, 'nonsense'))
      expect(await socket.ask(listed(1))).toMatchObject({ id: 1, error: { data: { code: 'RATE_LIMITED' } } })
      return target.send(call('tools/list', {}, { as: 'A.read' }))
    },
    expect: { status: 200, audit: { type: 'rate_limit', success: false, reason: 'messages' } },
  },
  {
    id: 'X-336',
    area,
    requirement: ['WS-03', 'SE-02'],
    title: 'a session of HTTP is not reached over a socket, nor that of a socket over HTTP or another socket',
    config: on,
    send: async (target) => {
      const session = await target.openSession('A.read')
      const socket = await target.openSocket('A.read', { headers: { 'Mcp-Session-Id': session.id } })
      expect(await socket.ask({ id: 1, method: 'tools/list' })).toMatchObject({
        id: 1,
        error: { data: { code: 'SESSION_NOT_FOUND' } },
      })
      const { result } = await socket.ask({ id: 2, method: 'initialize', params: opening })
      expect(Object.keys(result ?? {})).toEqual(['protocolVersion', 'capabilities', 'serverInfo'])
      expect(await socket.ask({ id: 3, method: 'initialize', params: opening })).toMatchObject({
        error: { data: { code: 'INVALID_REQUEST' } },
      })
      const other = await target.openSocket('A.read')
      expect(await other.ask({ id: 1, method: 'tools/list' })).toHaveProperty('error')
      return undefined
    },
  },
  {
    id: 'X-337',
    area,
    requirement: ['WS-03', 'TR-15'],
    title: 'an id that a call holds is refused, and the call goes on',
    config: on,
    send: async (target) => {
      const socket = await target.openSocket('A.read')
      socket.send(slow(1))
      await socket.next()
      socket.send(listed(1))
      expect(await socket.answer(1)).toMatchObject({ error: { data: { code: 'DUPLICATE_REQUEST_ID' } } })
      const seen = socket.messages.length
      await socket.until(() => socket.messages.length > seen + 1, 'more progress')
      return undefined
    },
  },
  {
    id: 'X-338',
    area,
    requirement: ['WS-05', 'RL-14'],
    title: 'a client that leaves takes its calls with it, whatever their revision, and its session',
    config: on,
    send: async (target) => {
      const socket = await target.openSocket('A.read')
      await socket.ask({ id: 1, method: 'initialize', params: opening })
      socket.send({ id: 2, method: 'tools/call', params: { name: 'slow', arguments: {}, _meta: progress } })
      socket.send(slow(3))
      await socket.until(() => socket.messages.length > 6, 'progress of both')
      const aborted = ledger().aborted.length
      socket.destroy()
      await target.settled(() => expect(ledger().aborted.length - aborted).toBe(2))
      return undefined
    },
  },
  {
    id: 'X-339',
    area,
    requirement: ['WS-05'],
    title: 'a client that does not read is closed, and others are served meanwhile',
    config: { ...on, limits: { streamBufferBytesMax: 65_536 } },
    alone: true,
    send: async (target) => {
      const socket = await target.openSocket('A.read')
      socket.pause()
      const before = ledger().ran.length
      for (let id = 1; id <= 20; id++)
        socket.send(stateless(id, 'tools/call', { name: 'big', arguments: { bytes: 1_000_000 } }))
      await target.settled(() => expect(ledger().ran.length).toBeGreaterThan(before))
      const other = await target.openSocket('B.read')
      expect(await other.ask(listed(1))).toHaveProperty('result')
      // It is read no further while it does not read; and after a while it has left.
      expect(ledger().ran.length - before).toBeLessThan(20)
      await target.settled(() => {
        target.advance(1_000)
        expect(target.audit()).toContainEqual(expect.objectContaining({ action: 'socket.close', outcome: '1013' }))
      })
      return undefined
    },
  },
  {
    id: 'X-340',
    area,
    requirement: ['WS-05'],
    title: 'an idle socket is closed; one that listens is not',
    config: { webSocket: { enabled: true, idleMs: 60_000 } },
    alone: true,
    send: async (target) => {
      const [idle, listening] = [await target.openSocket('A.read'), await target.openSocket('A.read')]
      listening.send(stateless(1, 'subscriptions/listen', { notifications: { toolsListChanged: true } }))
      await listening.next()
      for (let at = 0; at < 7; at++) {
        target.advance(10_000)
        for (const socket of [idle, listening]) socket.write(frame(opcodes.pong))
        await new Promise((resolve) => setImmediate(resolve))
      }
      expect(await idle.closedWith()).toBe(1000)
      expect(await listening.ask(listed(2))).toHaveProperty('result')
      return undefined
    },
  },
  {
    id: 'X-341',
    area,
    requirement: ['WS-05'],
    title: 'a client that gives no sign of life is cut off',
    config: on,
    alone: true,
    send: async (target) => {
      const socket = await target.openSocket('A.read')
      target.advance(15_000)
      await socket.until(() => socket.frames.some(({ opcode }) => opcode === opcodes.ping), 'a ping')
      target.advance(45_000)
      expect(await socket.closedWith()).toBe(1006)
      return undefined
    },
    expect: { audit: { type: 'session', action: 'socket.close', outcome: '1006' } },
  },
]

export const webSocketCases: readonly AttackCase[] = [...atTheDoor, ...tickets, ...frames, ...inside]
