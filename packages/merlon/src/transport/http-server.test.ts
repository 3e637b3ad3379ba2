import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Reply } from '../call.ts'
import { Fault } from '../errors.ts'
import { gateWith, limiterWith } from '../guard/arrival.fixture.ts'
import { known, open } from '../guard/pipeline.ts'
import { answerHeaders } from './answer-headers.ts'
import { Connections } from './connections.ts'
import { createHttpServer } from './http-server.ts'
import { OpenStreams } from './open-streams.ts'
import { verb } from './routes.ts'

const refusals: string[] = []
const unread: string[] = []
const held: Reply[] = []
const connections = new Connections({ connectionsMax: 50, connectionsPerAddressMax: 40 })
const streams = new OpenStreams({ heartbeatMs: 15_000, bufferBytesMax: 1_000, stallMs: 1_000 })
/** The client of a request that is not read before has left. */
let left = Promise.withResolvers<void>()
const gate = gateWith({
  hosts: new Set(['here']),
  messageBytesMax: 100,
  limiter: limiterWith([], 3),
})
const answer = (path: string, handle: Parameters<typeof verb<Parameters<typeof open.run>[0]>>[2]) =>
  [
    path,
    new Map([
      ['GET', verb('open', open, handle)],
      ['POST', verb('open', open, handle)],
    ]),
  ] as const

const server = createHttpServer({
  tls: undefined,
  gate,
  routes: new Map([
    ['/closed', new Map([['POST', verb('credential', known, (_call, reply) => reply.answer('{}', 200))]])],
    answer('/json', (_call, reply) => reply.answer('{"a":1}', 200)),
    answer('/stream', (_call, reply) => {
      reply.event('{"a":1}', 'id1')
      reply.answer('{"b":2}', 200, 'id2')
    }),
    answer('/none', (_call, reply) => reply.finish(204)),
    answer('/taken', (_call, reply) => reply.finish()),
    answer('/read', async ({ head }, reply) =>
      reply.answer(JSON.stringify((await head.readBody(100)).toString()), 200),
    ),
    answer('/read-late', async ({ head }, reply) => {
      await left.promise
      reply.answer((await head.readBody(100)).toString(), 200)
    }),
    answer('/hold', (_call, reply) => {
      held.push(reply)
    }),
    answer('/open', (_call, reply) => {
      reply.openStream()
      reply.onGone(() => held.splice(held.indexOf(reply), 1))
      held.push(reply)
    }),
    answer('/broken', () => {
      throw new Error('password=canary')
    }),
    answer('/broken-later', async () => {
      throw new Error('password=canary')
    }),
    answer('/broken-stream', async (_call, reply) => {
      reply.event('{"a":1}')
      throw new Error('password=canary')
    }),
    answer('/busy', () => {
      throw new Fault('capacity.exceeded', { retryAfterMs: 2_500 })
    }),
  ]),
  headers: answerHeaders({ tls: true, exposed: ['X-Own'] }),
  streams,
  connections,
  bounds: { connectionsMax: 50, connectionsPerAddressMax: 40, callsPerConnectionMax: 2 },
  challenge: () => 'Bearer realm="r"',
  edge: (call) => open.run(call),
  onRefused: (_call, fault) => void refusals.push(fault.code),
  onUnread: ({ address }, fault) => void unread.push(`${address} ${fault.code}`),
})

let port = 0
beforeAll(async () => {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  port = (server.address() as AddressInfo).port
})
afterAll(() => {
  server.closeAllConnections()
  server.close()
})

/** Sends bytes on a connection of their own, and reads until the server closes it. */
async function send(bytes: string): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  let received = ''
  socket.setEncoding('latin1')
  socket.on('data', (chunk: string) => (received += chunk))
  socket.on('error', () => undefined)
  socket.write(bytes, 'latin1')
  await once(socket, 'close')
  return received
}
const request = (line: string, headers: readonly string[] = [], body = '') =>
  send([`${line} HTTP/1.1`, 'Host: here', 'Connection: close', ...headers, '', body].join('\r\n'))
const statusOf = (answered: string) => Number(/^HTTP\/1\.1 ([0-9]{3}) /.exec(answered)?.[1])
const headOf = (answered: string) =>
  answered.slice(0, answered.indexOf('\r\n\r\n')).toLowerCase().split('\r\n').slice(1)
const post = (body: string) => [`Content-Length: ${body.length}`]

const always = [
  'x-content-type-options: nosniff',
  'cache-control: no-store',
  "content-security-policy: default-src 'none'; frame-ancestors 'none'",
  'vary: origin',
  'strict-transport-security: max-age=31536000; includesubdomains',
]

describe('every answer', () => {
  test.each<[string, number, () => Promise<string>]>([
    ['JSON', 200, () => request('GET /json')],
    ['a stream', 200, () => request('GET /stream')],
    ['taken', 202, () => request('POST /taken')],
    ['nothing', 204, () => request('GET /none')],
    ['a malformed Host', 400, () => send('GET /json HTTP/1.1\r\nHost: x@here\r\nConnection: close\r\n\r\n')],
    ['no Host', 400, () => send('GET /json HTTP/1.1\r\nConnection: close\r\n\r\n')],
    ['no Host in HTTP/1.0', 400, () => send('GET /json HTTP/1.0\r\n\r\n')],
    ['two Hosts', 400, () => request('GET /json', ['Host: here'])],
    ['an absolute target', 400, () => request('GET http://here/json')],
    [
      'an upgrade',
      400,
      () => send('GET /json HTTP/1.1\r\nHost: here\r\nConnection: upgrade, close\r\nUpgrade: websocket\r\n\r\n'),
    ],
    ['two credentials', 400, () => request('POST /closed', ['X-API-Key: a', 'Authorization: Bearer b'])],
    ['no credential', 401, () => request('POST /closed')],
    ['a bad credential', 401, () => request('POST /closed', ['X-API-Key: bad'])],
    ['another Host', 403, () => send('GET /json HTTP/1.1\r\nHost: evil\r\nConnection: close\r\n\r\n')],
    ['another Origin', 403, () => request('GET /json', ['Origin: null'])],
    ['another path', 404, () => request('GET /nowhere')],
    ['another method', 405, () => request('DELETE /json')],
    ['TRACE', 405, () => request('TRACE /json')],
    ['a body that is too large', 413, () => request('POST /read', post('x'.repeat(101)), 'x'.repeat(101))],
    ['a target that is too long', 414, () => request(`GET /${'x'.repeat(5_000)}`)],
    [
      'too many lines',
      431,
      () =>
        request(
          'GET /json',
          Array.from({ length: 100 }, (_, at) => `X-${at}: x`),
        ),
    ],
    ['a failure', 500, () => request('GET /broken')],
    ['a failure later', 500, () => request('GET /broken-later')],
    ['no room', 503, () => request('GET /busy')],
    ['an expectation that nobody knows', 200, () => request('GET /json', ['Expect: miracles'])],
    // What Node refuses before there is a request.
    ['no HTTP', 400, () => send('hello\r\n\r\n')],
    ['TR-04: two lengths', 400, () => request('POST /read', ['Content-Length: 1', 'Content-Length: 2'], 'x')],
    [
      'TR-04: a length and chunks',
      400,
      () => request('POST /read', ['Content-Length: 1', 'Transfer-Encoding: chunked'], '0\r\n\r\n'),
    ],
    ['TR-04: an unknown coding', 400, () => request('POST /read', ['Transfer-Encoding: x, chunked, x'], '0\r\n\r\n')],
    ['TR-04: a folded line', 400, () => request('GET /json', ['X-A: b', ' c'])],
    ['TR-04: a space before the colon', 400, () => request('GET /json', ['X-A : b'])],
    ['TR-04: NUL', 400, () => request('GET /json', ['X-A: b\u0000c'])],
    ['a head that is too large', 431, () => request('GET /json', [`X-A: ${'x'.repeat(20_000)}`])],
  ])('A9: %s (%i) carries the security headers and tells nothing of what runs here', async (_, status, ask) => {
    const answered = await ask()
    expect(statusOf(answered)).toBe(status)
    const head = headOf(answered)
    expect(head).toEqual(expect.arrayContaining(always))
    expect(head.filter((line) => /^(?:server|x-powered-by|access-control-allow-)/.test(line))).toEqual([])
    if (status !== 204 && status !== 202)
      expect(
        head.some((line) => /^content-type: (?:application\/json|text\/event-stream); charset=utf-8$/.test(line)),
      ).toBe(true)
    expect(answered).not.toContain('canary')
  })

  test('a request that does not arrive in time is refused with them too', async () => {
    const accepted = once(server, 'connection')
    const socket = connect(port, '127.0.0.1')
    const [side] = (await accepted) as [Socket]
    server.emit('clientError', Object.assign(new Error('slow'), { code: 'ERR_HTTP_REQUEST_TIMEOUT' }), side)
    const [received] = (await once(socket, 'data')) as [Buffer]
    const answered = received.toString()
    expect(statusOf(answered)).toBe(408)
    expect(headOf(answered)).toEqual(expect.arrayContaining([...always, 'connection: close']))
    expect(answered.endsWith('{"error":"The request did not arrive in time.","code":"REQUEST_TIMEOUT"}')).toBe(true)
    socket.destroy()
  })
})

describe('a refusal over HTTP', () => {
  test('A1: names the scheme, and nothing about why', async () => {
    const [missing, bad] = [await request('POST /closed'), await request('POST /closed', ['X-API-Key: worse'])]
    expect(headOf(missing)).toContain('www-authenticate: bearer realm="r", scope="read write"')
    expect(headOf(bad)).toContain('www-authenticate: bearer realm="r", scope="read write", error="invalid_token"')
    expect(bad.endsWith('\r\n\r\n{"error":"Invalid API key","code":"INVALID_API_KEY"}')).toBe(true)
  })

  test('RL-05: says how long to wait', async () => {
    expect(headOf(await request('GET /busy'))).toContain('retry-after: 3')
    for (let guess = 0; guess < 4; guess++) await request('POST /closed', ['X-API-Key: bad'])
    const answered = await request('POST /closed', ['X-API-Key: bad'])
    expect(statusOf(answered)).toBe(429)
    expect(headOf(answered).some((line) => /^retry-after: [1-9][0-9]*$/.test(line))).toBe(true)
  })

  test('of a method names those that are served, and stands behind the outer door', async () => {
    expect(headOf(await request('DELETE /json'))).toContain('allow: get, post')
    for (const line of ['DELETE /json', 'GET /nowhere'])
      expect(statusOf(await send(`${line} HTTP/1.1\r\nHost: evil\r\nConnection: close\r\n\r\n`))).toBe(403)
  })

  test('TR-10: paths are matched exactly', async () => {
    for (const path of [
      '/JSON',
      '//json',
      '/json/',
      '/./json',
      '/%6ason',
      '/json;x',
      '/json%2f',
      '/x/../json',
      '/json.',
    ])
      expect(statusOf(await request(`GET ${path}`)), path).toBe(404)
    expect(statusOf(await request('GET /json?path=/closed'))).toBe(200)
  })

  test('is recorded once', async () => {
    refusals.length = 0
    await request('GET /nowhere')
    await request('GET /broken')
    await request('GET /broken-stream')
    await request('POST /closed')
    expect(refusals).toEqual(['route.unknown', 'internal', 'internal', 'credential.missing'])
  })

  test('of a body that was not read closes the connection where that may be large', async () => {
    const unread = await send('POST /closed HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n')
    expect(headOf(unread)).toContain('connection: close')
  })

  test('after a stream has begun cuts it off', async () => {
    const answered = await request('GET /broken-stream')
    expect(statusOf(answered)).toBe(200)
    expect(answered).toContain('data: {"a":1}')
    expect(answered.endsWith('0\r\n\r\n')).toBe(false)
  })
})

describe('an allowed page', () => {
  test('OH-05: may read the answer, refusals too; credentials are never offered', async () => {
    for (const [line, origin] of [
      ['GET /json', 'https://app.example'],
      ['GET /nowhere', 'https://app.example'],
      ['POST /closed', 'https://app.example'],
    ] as const) {
      const head = headOf(await request(line, [`Origin: ${origin}`]))
      expect(head).toContain(`access-control-allow-origin: ${origin}`)
      expect(head).toContain(
        'access-control-expose-headers: mcp-session-id, www-authenticate, retry-after, ratelimit, ratelimit-policy, x-own',
      )
      expect(head.some((name) => name.startsWith('access-control-allow-credentials'))).toBe(false)
    }
  })
})

describe('a body', () => {
  test('RL-10: is read up to the bound, whatever length it claims', async () => {
    const read = (headers: readonly string[], body: string) => request('POST /read', headers, body)
    expect((await read(post('x'.repeat(100)), 'x'.repeat(100))).endsWith(`"${'x'.repeat(100)}"`)).toBe(true)
    const chunked = (size: number) => `${size.toString(16)}\r\n${'x'.repeat(size)}\r\n0\r\n\r\n`
    expect(statusOf(await read(['Transfer-Encoding: chunked'], chunked(100)))).toBe(200)
    expect(statusOf(await read(['Transfer-Encoding: chunked'], chunked(101)))).toBe(413)
    expect(statusOf(await read(['Content-Length: 1000000'], 'x'))).toBe(413)
  })

  test('is asked for only when it is wanted', async () => {
    const asked = await request('POST /read', [...post('x'), 'Expect: 100-continue'], 'x')
    expect(asked.startsWith('HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n')).toBe(true)
    expect(statusOf(await request('POST /closed', [...post('x'), 'Expect: 100-continue'], 'x'))).toBe(401)
  })

  test.each(['/read', '/read-late'])('of a client that left before all of it came is no body (%s)', async (path) => {
    refusals.length = 0
    left = Promise.withResolvers()
    server.once('request', (incoming: IncomingMessage) => {
      incoming.once('close', () => setImmediate(left.resolve))
      socket.destroy()
    })
    const socket = connect(port, '127.0.0.1')
    socket.write(`POST ${path} HTTP/1.1\r\nHost: here\r\nContent-Length: 10\r\n\r\nx`)
    await expect.poll(() => refusals).toEqual(['call.cancelled'])
  })
})

describe('a connection', () => {
  test('that brings no HTTP is told once, with its address', async () => {
    unread.length = 0
    refusals.length = 0
    expect(statusOf(await send('NONSENSE\r\n\r\n'))).toBe(400)
    expect(statusOf(await request('GET /json', [`X: ${'x'.repeat(20_000)}`]))).toBe(431)
    expect(unread).toEqual(['127.0.0.1 request.invalid', '127.0.0.1 head.too-large'])
    expect(refusals).toEqual([])
  })

  test('RL-14: that goes takes each stream on it along, that which waits behind another too', async () => {
    held.length = 0
    const socket = connect(port, '127.0.0.1')
    socket.write('GET /open HTTP/1.1\r\nHost: here\r\n\r\n'.repeat(2))
    await expect.poll(() => held.length, { timeout: 10_000 }).toBe(2)
    expect(streams.size).toBe(2)
    socket.destroy()
    await expect.poll(() => [held.length, streams.size], { timeout: 10_000 }).toEqual([0, 0])
  })

  test('RL-08: has so many requests under way and no more', async () => {
    const hold = 'GET /hold HTTP/1.1\r\nHost: here\r\n\r\n'
    expect(await send(hold.repeat(3))).toBe('')
    held.length = 0
    const socket = connect(port, '127.0.0.1')
    socket.write(hold.repeat(2))
    await expect.poll(() => held.length).toBe(2)
    for (const reply of held) reply.answer('{}', 200)
    socket.end()
    let received = ''
    for await (const chunk of socket) received += String(chunk)
    expect(received.match(/HTTP\/1\.1 200/g)).toHaveLength(2)
  })
})

test('once the server is about to stop each answer is the last on its connection, that of a call under way too', async () => {
  held.length = 0
  const keeping = (path: string) => send(`GET ${path} HTTP/1.1\r\nHost: here\r\n\r\n`)
  const underway = keeping('/hold')
  await expect.poll(() => held).toHaveLength(1)
  connections.ending = true
  try {
    held[0]!.answer('{}', 200)
    // Each ends when the server closes the connection.
    for (const answered of [await underway, await keeping('/json'), await keeping('/none'), await keeping('/nowhere')])
      expect(headOf(answered).filter((line) => line.startsWith('connection:'))).toEqual(['connection: close'])
  } finally {
    connections.ending = false
  }
})
