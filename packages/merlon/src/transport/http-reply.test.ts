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
async function replyTo(): Promise<{ reply: HttpReply; response: ServerResponse }> {
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
  return { reply: new HttpReply(response, call, answerHeaders({ tls: false, exposed: [] }), streams), response }
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
