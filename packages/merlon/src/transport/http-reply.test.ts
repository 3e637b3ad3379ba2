import { once } from 'node:events'
import { createServer, type IncomingMessage, ServerResponse } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { gateWith } from '../guard/arrival.fixture.ts'
import { answerHeaders } from './answer-headers.ts'
import { HttpCall, type Slots } from './http-call.ts'
import { HttpReply } from './http-reply.ts'
import { OpenStreams } from './open-streams.ts'

const closing: (() => void)[] = []
afterEach(() => {
  for (const close of closing.splice(0)) close()
})

/**
 * A reply over a real connection whose client reads nothing. `queued`: it waits behind another on that connection, and Node
 * does not tell it that the connection went, as the first releases of Node 24 do not.
 */
async function replyTo(form: 'first' | 'queued' = 'first') {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1')
  client.pause()
  client.on('error', () => undefined)
  client.write('GET / HTTP/1.1\r\nHost: here\r\n\r\n')
  const [request, first] = (await once(server, 'request')) as [IncomingMessage, ServerResponse]
  const response = form === 'first' ? first : new ServerResponse(request)
  closing.push(() => {
    client.destroy()
    server.close()
    server.closeAllConnections()
  })
  const slots: Slots = { taken: 1 }
  const call = new HttpCall(request, response, gateWith(), slots)
  const streams = new OpenStreams({ heartbeatMs: 15_000, bufferBytesMax: 1_000, stallMs: 7_000 })
  const answered: string[] = []
  const reply = new HttpReply(response, call, {
    headers: answerHeaders({ tls: false, exposed: [] }),
    streams,
    onAnswered: (_call, status, bytes) => void answered.push(`${status} ${bytes}`),
  })
  return { reply, request, response, slots, streams, answered, client }
}

test.each(['an answer', 'a stream'])(
  'RL-14: %s that took its time is not kept for a reader who takes nothing',
  async (form) => {
    const { reply, response } = await replyTo()
    if (form === 'a stream') reply.openStream()
    reply.bePatient()
    expect(response.socket?.timeout).toBe(0)
    reply.answer('x'.repeat(32 * 1_048_576), 200)
    expect(response.writableFinished).toBe(false)
    expect(response.socket?.timeout).toBe(7_000)
  },
)

test('each answer is told once, with the bytes of a body that is no stream', async () => {
  const whole = await replyTo()
  whole.reply.answer('grün', 404)
  whole.reply.answer('again', 200)
  whole.reply.finish()
  expect(whole.answered).toEqual(['404 5'])
  const stream = await replyTo()
  stream.reply.event('{}')
  stream.reply.answer('{}', 404)
  expect(stream.answered).toEqual(['200 undefined'])
  const empty = await replyTo()
  empty.reply.finish(204)
  expect(empty.answered).toEqual(['204 0'])
  const left = await replyTo()
  const gone = new Promise<void>((resolve) => left.reply.onGone(resolve))
  left.client.destroy()
  await gone
  left.reply.answer('late', 200)
  expect(left.answered).toEqual(['499 undefined'])
})

describe('RL-14: a reply that waits behind another, on a connection that goes', () => {
  test('is gone with it, and its stream holds no place', async () => {
    const { reply, streams, answered, client } = await replyTo('queued')
    reply.event('{}')
    expect(streams.size).toBe(1)
    const gone = new Promise<void>((resolve) => reply.onGone(resolve))
    client.destroy()
    await gone
    expect([reply.gone, streams.size, answered]).toEqual([true, 0, ['499 undefined']])
  })

  test('is gone from the start where it begins after that', async () => {
    const { reply, request, streams, client } = await replyTo('queued')
    const closed = once(request.socket, 'close')
    client.destroy()
    await closed
    reply.openStream()
    expect([reply.gone, streams.size]).toEqual([true, 0])
  })

  test('holds no place where it was answered before', async () => {
    const { reply, streams, answered, request, client } = await replyTo('queued')
    reply.event('{}')
    reply.answer('{}', 200)
    const closed = once(request.socket, 'close')
    client.destroy()
    await closed
    expect([streams.size, answered]).toEqual([0, ['200 undefined']])
  })

  test('makes no more of its document', async () => {
    const { reply, client } = await replyTo('queued')
    const ended = Promise.withResolvers<void>()
    async function* pieces() {
      try {
        for (;;) yield 'x'.repeat(100_000)
      } finally {
        ended.resolve()
      }
    }
    reply.document(pieces(), 'text/plain', 200)
    client.destroy()
    await ended.promise
  })

  test('listens to it once for all of them, and no longer than they last', async () => {
    const { reply, request, response, slots, streams } = await replyTo('queued')
    const before = request.socket.listenerCount('close')
    const others = Array.from({ length: 20 }, () => {
      const waiting = new ServerResponse(request)
      const call = new HttpCall(request, waiting, gateWith(), slots)
      const other = new HttpReply(waiting, call, { headers: answerHeaders({ tls: false, exposed: [] }), streams })
      other.openStream()
      return waiting
    })
    reply.openStream()
    expect([request.socket.listenerCount('close') - before, slots.waiting?.size]).toEqual([1, 21])
    for (const each of [response, ...others]) each.emit('close')
    expect([slots.waiting?.size, streams.size]).toEqual([0, 0])
  })
})
