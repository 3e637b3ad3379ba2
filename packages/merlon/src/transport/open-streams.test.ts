import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { OpenStreams } from './open-streams.ts'

const bounds = { heartbeatMs: 5, bufferBytesMax: 1_048_576, stallMs: 60_000 }
const heartbeat = ':\n\n'
const closing: (() => void)[] = []
afterEach(() => {
  for (const close of closing.splice(0)) close()
})

/** A stream over a real connection, and the client's end of it, which reads only when told. */
async function openStream(streams: OpenStreams): Promise<{ response: ServerResponse; client: Socket }> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1')
  client.pause()
  client.on('error', () => undefined)
  client.write('GET / HTTP/1.1\r\nHost: here\r\n\r\n')
  const [, response] = (await once(server, 'request')) as [unknown, ServerResponse]
  response.writeHead(200)
  streams.add(response)
  response.once('close', () => streams.remove(response))
  closing.push(() => {
    client.destroy()
    server.close()
    server.closeAllConnections()
  })
  return { response, client }
}

async function heartbeats(client: Socket, count: number): Promise<void> {
  let text = ''
  for await (const chunk of client) {
    text += String(chunk)
    if (text.split(heartbeat).length > count) return
  }
}

test('a stream that has ended gets no heartbeat while its reader does not take the rest', async () => {
  const streams = new OpenStreams(bounds)
  const [ended, open] = [await openStream(streams), await openStream(streams)]
  const errors: unknown[] = []
  ended.response.on('error', (error) => errors.push(error))
  // More than the buffers of any system take.
  ended.response.end('x'.repeat(32 * 1_048_576))
  expect(ended.response.writableFinished).toBe(false)
  await heartbeats(open.client, 3)
  expect(streams.size).toBe(2)
  expect(errors).toEqual([])
})
