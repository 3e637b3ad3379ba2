import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { gateWith } from '../guard/arrival.fixture.ts'
import { answerHeaders } from './answer-headers.ts'
import { HttpCall } from './http-call.ts'
import { HttpReply } from './http-reply.ts'
import { OpenStreams } from './open-streams.ts'

const closing: (() => void)[] = []
afterEach(() => {
  for (const close of closing.splice(0)) close()
})

/** A reply over a real connection whose client reads nothing. */
async function replyTo() {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1')
  client.pause()
  client.on('error', () => undefined)
  client.write('GET / HTTP/1.1\r\nHost: here\r\n\r\n')
  const [request, response] = (await once(server, 'request')) as [IncomingMessage, ServerResponse]
  closing.push(() => {
    client.destroy()
    server.close()
    server.closeAllConnections()
  })
  const call = new HttpCall(request, response, gateWith(), { taken: 1 })
  const streams = new OpenStreams({ heartbeatMs: 15_000, bufferBytesMax: 1_000, stallMs: 7_000 })
  const answered: string[] = []
  const reply = new HttpReply(response, call, {
    headers: answerHeaders({ tls: false, exposed: [] }),
    streams,
    onAnswered: (_call, status, bytes) => void answered.push(`${status} ${bytes}`),
  })
  return { reply, response, answered, client }
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
