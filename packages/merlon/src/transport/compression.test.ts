import { once } from 'node:events'
import { request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { gunzipSync } from 'node:zlib'
import * as fc from 'fast-check'
import { afterEach, describe, expect, test } from 'vitest'
import { gateWith } from '../guard/arrival.fixture.ts'
import { open } from '../guard/pipeline.ts'
import { answerHeaders } from './answer-headers.ts'
import { Compression, takesGzip } from './compression.ts'
import type { HttpCall } from './http-call.ts'
import { createHttpServer } from './http-server.ts'
import { OpenStreams } from './open-streams.ts'
import { verb } from './routes.ts'

test.each<[string | undefined, boolean]>([
  [undefined, false],
  ['', false],
  ['gzip', true],
  ['GZIP', true],
  ['x-gzip', true],
  ['deflate, gzip, br, zstd', true],
  ['br;q=1.0, gzip;q=0.8, *;q=0.1', true],
  ['gzip ; q=0.001', true],
  ['*', true],
  ['gzip;q=0', false],
  ['gzip;q=0.000, *', false],
  ['*;q=0', false],
  ['*;q=0, gzip', true],
  ['identity', false],
  ['br', false],
  ['gzip;q=2', false],
  ['gzip;q=1;q=0', false],
  ['gzip,,br', false],
  ['gzipped', false],
])('Accept-Encoding %j takes gzip: %j', (header, takes) => {
  expect(takesGzip(header)).toBe(takes)
})

test('any Accept-Encoding gives a yes or a no', () => {
  fc.assert(fc.property(fc.string(), (header) => typeof takesGzip(header) === 'boolean'))
})

const callOf = (more: object): HttpCall =>
  ({ verb: 'GET', principal: undefined, message: undefined, headers: { 'accept-encoding': 'gzip' }, ...more }) as never
const principal = { id: 'usr_1' }
const message = { kind: 'request' }
const long = 'a'.repeat(512)
const packer = (credentialed: boolean) => new Compression({ thresholdBytes: 512, level: 6, credentialed })

describe('RL-13: what is compressed', () => {
  test('is what was asked for without a credential, from the threshold up, and the same bytes each time', () => {
    const compression = packer(false)
    const packed = compression.pack(callOf({}), long)
    expect(gunzipSync(packed as Buffer).toString()).toBe(long)
    expect(compression.pack(callOf({ verb: 'HEAD' }), long)).toBe(packed)
    expect(compression.pack(callOf({}), 'a'.repeat(511))).toBeUndefined()
    expect(compression.pack(callOf({}), 'ä'.repeat(256))).toBeInstanceOf(Buffer)
    expect(compression.pack(callOf({}), 'a'.repeat(4_194_305))).toBeUndefined()
    expect(compression.pack(callOf({ headers: {} }), long)).toBeUndefined()
  })

  test.each<[string, object]>([
    ['the answer to a call', { verb: 'POST', principal, message }],
    ['what a credential may read', { principal }],
    ['the answer to a sign-in', { verb: 'POST' }],
  ])('is never %s', (_what, more) => {
    expect(packer(false).pack(callOf(more), long)).toBeUndefined()
  })

  test('asked for by name it is the answer to an MCP call too, and still nothing else', async () => {
    const compression = packer(true)
    const packed = await compression.pack(callOf({ verb: 'POST', principal, message }), long)
    expect(gunzipSync(packed!).toString()).toBe(long)
    expect(compression.pack(callOf({ principal }), long)).toBeUndefined()
    expect(compression.pack(callOf({ verb: 'POST' }), long)).toBeUndefined()
  })

  test('is four answers at once; the next go as they are', async () => {
    const compression = packer(true)
    const call = callOf({ verb: 'POST', principal, message })
    const packed = Array.from({ length: 6 }, () => compression.pack(call, long))
    expect(packed.map((each) => each !== undefined)).toEqual([true, true, true, true, false, false])
    await Promise.all(packed)
    expect(compression.pack(call, long)).toBeInstanceOf(Promise)
  })

  test('is not remembered without end', () => {
    const compression = packer(false)
    const first = compression.pack(callOf({}), long)
    for (let at = 0; at < 16; at++) compression.pack(callOf({}), `${at}${long}`)
    const again = compression.pack(callOf({}), long)
    expect(again).toEqual(first)
    expect(again).not.toBe(first)
  })
})

describe('over a connection', () => {
  const closing: (() => void)[] = []
  afterEach(() => {
    for (const close of closing.splice(0)) close()
  })

  async function ask(path: string, headers: Record<string, string>, method = 'GET') {
    const answered: string[] = []
    const read = (handle: Parameters<typeof verb<Parameters<typeof open.run>[0]>>[2]) => {
      const verbs = ['GET', 'HEAD'].map((name) => [name, verb('open', open, handle)] as const)
      return new Map(verbs)
    }
    const server = createHttpServer({
      tls: undefined,
      gate: gateWith({ hosts: new Set(['here']) }),
      routes: new Map([
        ['/answer', read((_call, reply) => reply.answer(JSON.stringify(long), 200))],
        ['/document', read((_call, reply) => reply.document(long, 'text/plain; charset=utf-8', 200))],
        [
          '/pieces',
          read((_call, reply) =>
            reply.document(
              (async function* () {
                yield long
              })(),
              'text/plain',
              200,
            ),
          ),
        ],
        [
          '/stream',
          read((_call, reply) => {
            reply.event(JSON.stringify(long))
            reply.answer(JSON.stringify(long), 200)
          }),
        ],
      ]),
      headers: answerHeaders({ tls: false, exposed: [], compressed: true }),
      streams: new OpenStreams({ heartbeatMs: 15_000, bufferBytesMax: 10_000, stallMs: 1_000 }),
      compression: packer(true),
      bounds: { connectionsMax: 9, connectionsPerAddressMax: 9, callsPerConnectionMax: 2 },
      challenge: () => 'Bearer',
      edge: (call) => open.run(call),
      onRefused: () => undefined,
      onUnread: () => undefined,
      onAnswered: (_call, status, bytes) => void answered.push(`${status} ${bytes}`),
    }).listen(0, '127.0.0.1')
    closing.push(() => server.close())
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const asked = request({ port, path, method, agent: false, headers: { Host: 'here', ...headers } }).end()
    const [answer] = await once(asked, 'response')
    return { answer, body: await buffer(answer), answered }
  }
  const accepting = { 'Accept-Encoding': 'gzip, deflate, br' }

  test.each(['/answer', '/document'])('RL-13: %s is compressed for who takes it, and says so', async (path) => {
    const whole = await ask(path, {})
    expect(whole.answer.headers).toMatchObject({ vary: 'Origin, Accept-Encoding' })
    expect(whole.answer.headers['content-encoding']).toBeUndefined()
    const packed = await ask(path, accepting)
    expect(packed.answer.headers).toMatchObject({
      vary: 'Origin, Accept-Encoding',
      'content-encoding': 'gzip',
      'content-length': String(packed.body.length),
    })
    expect(packed.body.length).toBeLessThan(100)
    expect(gunzipSync(packed.body)).toEqual(whole.body)
    expect(packed.answered).toEqual([`200 ${packed.body.length}`])
    const head = await ask(path, accepting, 'HEAD')
    expect(head.answer.headers['content-length']).toBe(packed.answer.headers['content-length'])
  })

  test.each(['/stream', '/pieces'])('RL-13: %s is not', async (path) => {
    const { answer, body } = await ask(path, accepting)
    expect(answer.headers['content-encoding']).toBeUndefined()
    expect(body.toString()).toContain(long)
  })
})
