import type { Server } from 'node:http'
import { expect } from 'vitest'
import { gateWith } from '../../../packages/merlon/src/guard/arrival.fixture.ts'
import { answerHeaders } from '../../../packages/merlon/src/transport/answer-headers.ts'
import { createHttpServer } from '../../../packages/merlon/src/transport/http-server.ts'
import { OpenStreams } from '../../../packages/merlon/src/transport/open-streams.ts'
import { type AttackCase, each } from '../attack-case.ts'
import { type Answer, Connection } from '../connection.ts'
import { ledger } from '../project/src/ledger.ts'
import { call, initialize, type Request, tool } from '../request.ts'

const area = 'Limits'
const progress = { progressToken: 'p' }
const mebibyte = 1_048_576

/** A call whose text fills the body up to this many bytes. */
function filling(bytes: number): string {
  const [head = '', tail = ''] = JSON.stringify({
    jsonrpc: '2.0',
    id: 1,
    method: 'tools/call',
    params: {
      name: 'write_note',
      arguments: { text: '%' },
      _meta: {
        'io.modelcontextprotocol/protocolVersion': '2026-07-28',
        'io.modelcontextprotocol/clientCapabilities': {},
      },
    },
  }).split('%')
  return head + 'x'.repeat(bytes - head.length - tail.length) + tail
}

const sized = (bytes: number): Request => ({ ...tool('write_note', {}, { as: 'A.write' }), body: filling(bytes) })

const tooLarge = { status: 413, code: 'BODY_TOO_LARGE', audit: { success: false, code: 'BODY_TOO_LARGE' } } as const

/** A server like ours, without anything behind it, so that its times can be read and shortened. */
function bareServer(): Server {
  const refuse = () => {
    throw new Error('nothing is served')
  }
  return createHttpServer({
    tls: undefined,
    gate: gateWith(),
    routes: new Map(),
    headers: answerHeaders({ tls: false, exposed: [] }),
    streams: new OpenStreams({ heartbeatMs: 15_000, bufferBytesMax: mebibyte, stallMs: 30_000 }),
    bounds: { connectionsMax: 10, connectionsPerAddressMax: 10, callsPerConnectionMax: 1 },
    challenge: () => 'Bearer',
    edge: refuse,
    onRefused: () => undefined,
    onUnread: () => undefined,
  })
}

export const loadCases: readonly AttackCase[] = [
  ...each(
    {
      id: 'O-084',
      area,
      requirement: ['RL-10', 'CO-12'],
      title: 'a body beyond its limit is refused and the connection closed, before the rest of it is read',
      expect: tooLarge,
    },
    {
      'a length beyond it, and no body': async (target) => {
        const head = target.bytesOf(sized(2_000)).toString('latin1').split('\r\n\r\n')[0]!
        const { answers, connection } = await target.raw(
          `${head.replace(/Content-Length: \d+/, `Content-Length: ${mebibyte + 1}`)}\r\n\r\n`,
        )
        await connection.whenClosed()
        return answers
      },
      'one byte beyond it': (target) => target.send(sized(mebibyte + 1)),
      'one byte beyond it, in chunks': (target) => target.send({ ...sized(mebibyte + 1), chunked: true }),
      'chunks without end': async (target) => {
        const request = { ...sized(2_000), chunked: true }
        const head = target.bytesOf(request).toString('latin1').split('\r\n\r\n')[0]!
        const connection = await target.connect()
        connection.write(`${head}\r\n\r\n`, 'POST')
        const chunk = Buffer.from(`10000\r\n${'x'.repeat(65_536)}\r\n`)
        let sent = 0
        while (!connection.closed && connection.answers.length === 0 && sent < 400) {
          connection.write(chunk)
          sent++
          await new Promise((resolve) => setImmediate(resolve))
        }
        const answer = await connection.answer()
        await connection.whenClosed()
        expect(sent).toBeLessThan(400)
        return answer === undefined ? undefined : [answer]
      },
    },
  ),
  {
    id: 'X-120',
    area,
    requirement: ['RL-10'],
    title: 'a body of exactly the limit is read',
    send: (target) => target.send(sized(mebibyte)),
    expect: { status: 200, audit: { type: 'tool_access', success: false, code: 'INVALID_ARGUMENTS' } },
  },
  ...each(
    {
      id: 'X-121',
      area,
      requirement: ['TR-25', 'SE-07'],
      title: 'who shows no credential is answered before a byte of the body is asked for',
      expect: { status: 401 },
    },
    {
      length: async (target) => {
        const { answers } = await target.raw(
          `POST /mcp HTTP/1.1\r\nHost: ${target.host}\r\nContent-Type: application/json\r\nContent-Length: ${mebibyte}\r\n\r\n`,
        )
        return answers
      },
      chunks: async (target) => {
        const { answers } = await target.raw(
          `POST /mcp HTTP/1.1\r\nHost: ${target.host}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n`,
        )
        return answers
      },
    },
  ),
  ...each(
    {
      id: 'O-085',
      area,
      requirement: ['RL-11', 'CO-14'],
      title: 'nesting, values, keys and strings beyond their bounds are refused before objects are made',
      expect: { status: 400, rpc: -32600, audit: { success: false, code: 'INVALID_REQUEST' } },
    },
    Object.fromEntries(
      (
        [
          ['500,000 lists', '['.repeat(500_000) + ']'.repeat(500_000)],
          ['500,000 lists, open', '['.repeat(500_000)],
          ['in arguments', filling(2_000).replace(/"x+"/, `${'['.repeat(400_000)}${']'.repeat(400_000)}`)],
          ['objects', `${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`],
          ['65 levels', filling(2_000).replace(/"x+"/, `${'['.repeat(65)}${']'.repeat(65)}`)],
          ['200,000 values', `[${'0,'.repeat(200_000)}0]`],
          [
            '20,000 keys',
            filling(2_000).replace(/"x+"/, `{${Array.from({ length: 20_000 }, (_, at) => `"k${at}":1`).join(',')}}`),
          ],
        ] as const
      ).map(([sub, body]): [string, AttackCase['send']] => [sub, (target) => target.send({ ...sized(2_000), body })]),
    ),
  ),
  ...each(
    {
      id: 'O-086',
      area,
      requirement: ['RL-12', 'CO-11'],
      title: 'a compressed body is refused unread',
      expect: { status: 415, code: 'UNSUPPORTED_MEDIA_TYPE' },
    },
    Object.fromEntries(
      ['gzip', 'deflate', 'br', 'zstd', 'gzip, gzip', 'identity, gzip', 'x-gzip'].map(
        (encoding): [string, AttackCase['send']] => [
          encoding,
          (target) => {
            const request = sized(2_000)
            return target.send({ ...request, headers: { ...request.headers, 'Content-Encoding': encoding } })
          },
        ],
      ),
    ),
  ),
  {
    id: 'O-087',
    sub: 'times',
    area,
    requirement: ['RL-07', 'RL-08', 'TR-05'],
    title: 'the times and bounds of the HTTP server are those that are promised',
    send: async () => {
      const server = bareServer()
      expect({
        headersTimeout: server.headersTimeout,
        requestTimeout: server.requestTimeout,
        keepAliveTimeout: server.keepAliveTimeout,
        timeout: server.timeout,
        maxHeadersCount: server.maxHeadersCount,
        maxConnections: server.maxConnections,
      }).toEqual({
        headersTimeout: 10_000,
        requestTimeout: 30_000,
        keepAliveTimeout: 5_000,
        timeout: 60_000,
        maxHeadersCount: 0,
        maxConnections: 10,
      })
      server.close()
      return undefined
    },
  },
  {
    id: 'O-087',
    sub: 'drip',
    area,
    requirement: ['RL-07'],
    title: 'a head or a body that never ends is answered and its connection closed',
    send: async () => {
      const server = bareServer()
      server.headersTimeout = 200
      server.requestTimeout = 300
      await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
      const address = server.address()
      const port = typeof address === 'object' && address !== null ? address.port : 0
      const starts = ['POST /mcp HTT', 'POST /mcp HTTP/1.1\r\nHost: x\r\nX-A', '']
      const slow = await Promise.all(
        Array.from({ length: 9 }, async (_, at) => {
          const connection = await Connection.open(port)
          connection.write(starts[at % starts.length]!, 'POST')
          return connection
        }),
      )
      for (const connection of slow) {
        await connection.whenClosed()
        for (const { status } of connection.answers) expect(status).toBe(408)
      }
      expect(slow.filter(({ answers }) => answers.length === 1).length).toBeGreaterThanOrEqual(6)
      await new Promise((closed) => server.close(closed))
      return undefined
    },
  },
  {
    id: 'X-122',
    area,
    requirement: ['RL-08'],
    title: 'connections beyond those of one address are closed, and there is room again when one ends',
    alone: true,
    config: { limits: { connectionsPerAddressMax: 4 } },
    send: async (target) => {
      const held = []
      for (let at = 0; at < 4; at++) {
        const connection = await target.begin(tool('slow', {}, { as: 'A.read', meta: progress }))
        await connection.begun()
        held.push(connection)
      }
      for (let at = 0; at < 3; at++) await (await target.connect()).whenClosed()
      held[0]?.destroy()
      await target.settled(async () => {
        expect((await target.send({ verb: 'GET', path: '/health' })).status).toBe(200)
      })
      return undefined
    },
  },
  {
    id: 'X-123',
    area,
    requirement: ['RL-08'],
    title: 'connections beyond those that are held in all are closed',
    alone: true,
    config: { limits: { connectionsMax: 3 } },
    send: async (target) => {
      for (let at = 0; at < 3; at++)
        await (await target.begin(tool('slow', {}, { as: 'A.read', meta: progress }))).begun()
      await (await target.connect()).whenClosed()
      return undefined
    },
  },
  {
    id: 'X-124',
    area,
    requirement: ['RL-08', 'RL-17', 'TR-21'],
    title: 'requests that wait on one connection are bounded, and end with it',
    send: async (target) => {
      const [ran, aborted] = [ledger().ran.length, ledger().aborted.length]
      const connection = await target.connect('A.read')
      const bytes = target.bytesOf(tool('slow', {}, { as: 'A.read' }))
      for (let at = 0; at < 40; at++) connection.write(bytes, 'POST')
      await connection.whenClosed()
      expect(connection.answers).toEqual([])
      await target.settled(() => expect(ledger().aborted.length - aborted).toBe(ledger().ran.length - ran))
      return undefined
    },
  },
  {
    id: 'O-089',
    area,
    requirement: ['CO-16'],
    title: 'of 101 calls at once with room for 100, one is refused and told when to come back',
    alone: true,
    config: { rateLimit: { callsMax: 100, windowMs: 600_000 } },
    send: async (target) => {
      const answers = await Promise.all(
        Array.from({ length: 101 }, () => target.send(call('tools/list', {}, { as: 'A.read' }))),
      )
      const refused = answers.filter(({ status }) => status !== 200)
      expect(refused).toHaveLength(1)
      expect((await target.send(call('tools/list', {}, { as: 'B.read' }))).status).toBe(200)
      return refused
    },
    expect: {
      status: 429,
      code: 'RATE_LIMITED',
      headers: {
        'Retry-After': /^[1-6]$/,
        RateLimit: /^"calls";r=0;t=[1-6]$/,
        'RateLimit-Policy': '"calls";q=100;w=600',
      },
      audit: { type: 'rate_limit', success: false, reason: 'calls' },
    },
  },
  {
    id: 'X-125',
    area,
    requirement: ['TR-25', 'CO-16'],
    title: 'what is malformed, unknown or guessed counts like any call, and before it is read',
    alone: true,
    config: { rateLimit: { callsMax: 10, windowMs: 600_000 } },
    send: async (target) => {
      const attempts: readonly Request[] = [
        { as: 'A.write', body: '[[[' },
        { as: 'A.write', body: 'x', headers: { 'Content-Type': 'text/plain' } },
        { as: 'A.write', body: '{"jsonrpc":"2.0","id":1,"method":"ping"}', headers: { 'Mcp-Session-Id': 'guess' } },
        { as: 'A.write', verb: 'GET', headers: { 'Mcp-Session-Id': 'guess' } },
        { as: 'A.write', verb: 'DELETE', headers: { 'Mcp-Session-Id': 'guess' } },
      ]
      for (const attempt of [...attempts, ...attempts]) expect((await target.send(attempt)).status).not.toBe(429)
      const answers = []
      for (const attempt of attempts) answers.push(await target.send(attempt))
      return answers
    },
    expect: { status: 429, code: 'RATE_LIMITED' },
  },
  {
    id: 'X-126',
    area,
    requirement: ['CO-16'],
    title: 'guesses beyond the limit are turned away, while a good key from the same address passes',
    alone: true,
    config: { rateLimit: { failuresMax: 5 } },
    send: async (target) => {
      const guess = (at: number) => call('tools/list', {}, { headers: { Authorization: `Bearer guess-${at}` } })
      for (let at = 0; at < 5; at++) expect((await target.send(guess(at))).status).toBe(401)
      const answers = [await target.send(guess(5)), await target.send(guess(6))]
      expect((await target.send(call('tools/list', {}, { as: 'A.read' }))).status).toBe(200)
      return answers
    },
    expect: {
      status: 429,
      headers: { 'Retry-After': /^\d+$/, 'RateLimit-Policy': '"failures";q=5;w=60' },
      audit: { type: 'rate_limit', success: false, reason: 'failed-authentication' },
    },
  },
  {
    id: 'O-091',
    area,
    requirement: ['RL-14', 'TR-21'],
    title: 'a reader that takes nothing is cut off, and the call with it',
    config: { limits: { streamBufferBytesMax: 65_536 } },
    send: async (target) => {
      const aborted = ledger().aborted.length
      const connection = await target.connect('A.read')
      connection.pause()
      connection.write(
        target.bytesOf(tool('count', { to: 5_000, padding: 65_536 }, { as: 'A.read', meta: progress })),
        'POST',
      )
      await target.settled(() => expect(ledger().aborted.slice(aborted)).toEqual(['count']))
      connection.resume()
      await connection.whenClosed()
      expect(connection.answers[0]?.complete ?? false).toBe(false)
      return undefined
    },
  },
  {
    id: 'X-127',
    area,
    requirement: ['TR-21'],
    title: 'leaving a call of 2026-07-28 cancels it',
    send: async (target) => {
      const aborted = ledger().aborted.length
      const connection = await target.begin(tool('slow', {}, { as: 'A.read', meta: progress }))
      await connection.messages(2)
      connection.destroy()
      await target.settled(() => expect(ledger().aborted.slice(aborted)).toEqual(['slow']))
      return undefined
    },
    expect: { audit: { tool: 'slow', outcome: 'cancelled' } },
  },
  {
    id: 'X-128',
    area,
    requirement: ['TR-21'],
    title: 'leaving a call before anything was streamed cancels it too',
    send: async (target) => {
      const aborted = ledger().aborted.length
      const ran = ledger().ran.length
      const connection = await target.begin(tool('slow', {}, { as: 'A.read' }))
      await target.settled(() => expect(ledger().ran.length).toBe(ran + 1))
      connection.destroy()
      await target.settled(() => expect(ledger().aborted.slice(aborted)).toEqual(['slow']))
      return undefined
    },
  },
  {
    id: 'X-129',
    area,
    requirement: ['RL-17', 'CO-17'],
    title: 'streams beyond those of one credential are refused, and there is room again when one ends',
    alone: true,
    config: { limits: { streamsPerPrincipalMax: 3 } },
    send: async (target) => {
      const first = await target.openSession('A.read')
      const open = [await target.begin(first.stream())]
      const listen = call(
        'subscriptions/listen',
        { notifications: { toolsListChanged: true } },
        { as: 'A.read', id: 'l' },
      )
      for (let at = 0; at < 2; at++) open.push(await target.begin(listen))
      for (const each of open) expect((await each.begun()).status).toBe(200)
      const second = await target.openSession('A.read')
      const refused = [await target.send(second.stream()), await target.send(listen)]
      expect(
        (
          await target.send({
            ...listen,
            as: 'B.read',
            path: '/mcp?other',
            headers: { ...listen.headers, Accept: 'text/html' },
          })
        ).status,
      ).toBe(406)
      open[2]?.destroy()
      await target.settled(async () => {
        const again = await target.begin(second.stream())
        expect((await again.begun()).status).toBe(200)
      })
      return refused
    },
    expect: {
      status: 503,
      code: 'OVERLOADED',
      headers: { 'Retry-After': '5' },
      ours: [503],
      audit: { code: 'OVERLOADED' },
    },
  },
  {
    id: 'X-133',
    area,
    requirement: ['RL-16'],
    title: 'a long progress token is not said again in every report',
    send: async (target) => {
      const token = 'x'.repeat(100_000)
      const session = await target.openSession('A.read')
      const counting = { name: 'count', arguments: { to: 500 }, _meta: { progressToken: token } }
      const answers = [
        await target.send(tool('count', { to: 500 }, { as: 'A.read', meta: { progressToken: token } })),
        await target.send(session.request('tools/call', counting)),
      ]
      for (const answer of answers) expect(answer.body.length).toBeLessThan(1_000)
      return answers
    },
    expect: { status: 200 },
  },
  {
    id: 'X-134',
    area,
    requirement: ['RL-17', 'SE-06'],
    title: 'what a session remembers of its client is bounded',
    send: async (target) => {
      const capabilities = { experimental: { x: 'y'.repeat(100_000) } }
      const opened = await target.send(initialize('A.read', { capabilities }))
      expect([opened.rpc, opened.header('mcp-session-id')]).toEqual([-32602, undefined])
      const session = await target.openSession('A.read')
      const statuses: number[] = []
      for (let at = 0; at < 12; at++) {
        const uri = `note://${at}${'n'.repeat(8_000)}`
        statuses.push((await target.send(session.request('resources/subscribe', { uri }))).status)
      }
      expect(statuses.filter((status) => status === 200).length).toBe(8)
      return undefined
    },
    expect: { ours: [503] },
  },
  {
    id: 'X-130',
    area,
    requirement: ['RL-17'],
    title: 'a subscription to more resources than are allowed is refused',
    send: (target) => {
      const uris = Array.from({ length: 1_001 }, (_, at) => `note://${at}`)
      return target.send(
        call('subscriptions/listen', { notifications: { resourceSubscriptions: uris } }, { as: 'A.read' }),
      )
    },
    expect: { rpc: -32602 },
  },
  {
    id: 'X-131',
    area,
    requirement: ['RL-15', 'CO-17'],
    title: 'while the event loop is behind, calls are refused and health answers',
    alone: true,
    config: { limits: { eventLoopDelayMsMax: 100 } },
    send: async (target) => {
      // A server that was behind already refuses what blocks it; and it may have caught up before it is asked.
      let refused: Answer | undefined
      await target.settled(async () => {
        expect((await target.send(tool('block', { ms: 900 }, { as: 'A.read' }))).said).toBe('done')
        refused = await target.send(call('tools/list', {}, { as: 'A.read' }))
        expect(refused.status).toBe(503)
      })
      expect((await target.send({ verb: 'GET', path: '/health' })).status).toBe(200)
      await target.settled(async () => {
        expect((await target.send(call('tools/list', {}, { as: 'A.read' }))).status).toBe(200)
      })
      return refused
    },
    expect: {
      status: 503,
      code: 'OVERLOADED',
      headers: { 'Retry-After': '1' },
      ours: [503],
      audit: { success: false, code: 'OVERLOADED' },
    },
  },
  {
    id: 'X-132',
    area,
    requirement: ['RL-19', 'SE-07'],
    title: 'connections that are torn off at every point leave no failure, no call and no socket behind',
    alone: true,
    send: async (target) => {
      const sockets = () => process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap').length
      const start = sockets()
      const session = await target.openSession('A.read')
      const requests: readonly Request[] = [
        tool('echo', { text: 'x' }, { as: 'A.read', meta: progress }),
        tool('slow', {}, { as: 'A.read', meta: progress }),
        session.stream(),
        initialize('A.read'),
        { ...sized(200_000), as: 'A.read' },
      ]
      for (const request of requests) {
        const bytes = target.bytesOf(request)
        for (const part of [1, 20, 100, Math.floor(bytes.length / 2), bytes.length - 1, bytes.length]) {
          const connection = await target.connect('A.read')
          connection.write(bytes.subarray(0, part), request.verb ?? 'POST')
          await new Promise((resolve) => setImmediate(resolve))
          connection.destroy()
        }
      }
      await target.send(session.end())
      target.hangUp()
      await target.settled(() => expect(sockets()).toBeLessThanOrEqual(start))
      return undefined
    },
  },
]
