import { once } from 'node:events'
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { type HeaderProxy, openProxy } from './proxy.ts'

let upstream: Server
let proxy: HeaderProxy

afterEach(async () => {
  await proxy.close()
  upstream.closeAllConnections()
  upstream.close()
})

async function open(answer: (request: IncomingMessage, response: ServerResponse) => void): Promise<number> {
  upstream = createServer(answer)
  upstream.listen(0, '127.0.0.1')
  await once(upstream, 'listening')
  const { port } = upstream.address() as AddressInfo
  proxy = await openProxy({
    upstreamPort: port,
    headers: { Authorization: 'Bearer the-key' },
    origin: 'http://ours.example',
  })
  return port
}

const url = () => `http://localhost:${proxy.port}/mcp`

test('every request of a connection carries the added header, and bodies and status come through', async () => {
  await open(async (request, response) => {
    const body = Buffer.concat(await request.toArray()).toString()
    response.writeHead(418).end(JSON.stringify([request.headers.authorization, request.method, body]))
  })
  for (const body of ['{"one":1}', 'x'.repeat(200_000), '{"three":3}']) {
    const response = await fetch(url(), { method: 'POST', body })
    expect(response.status).toBe(418)
    expect(await response.json()).toEqual(['Bearer the-key', 'POST', body])
  }
})

test('a Host and an Origin that name the proxy become ours; foreign ones go through', async () => {
  const port = await open((request, response) => {
    response.end(JSON.stringify([request.headers.host, request.headers.origin]))
  })
  const send = async (headers: Record<string, string>) => {
    const sent = request(url(), { headers }).end()
    const [response] = (await once(sent, 'response')) as [IncomingMessage]
    return JSON.parse(Buffer.concat(await response.toArray()).toString()) as unknown
  }
  expect(await send({ Origin: `http://localhost:${proxy.port}` })).toEqual([`localhost:${port}`, 'http://ours.example'])
  expect(await send({ Host: 'evil.example.com', Origin: 'http://evil.example.com' })).toEqual([
    'evil.example.com',
    'http://evil.example.com',
  ])
})

test('what the server streams arrives before the stream ends, and a client that leaves ends the request upstream', async () => {
  const left = Promise.withResolvers<void>()
  await open((_request, response) => {
    response.on('close', () => left.resolve())
    response.write('first')
  })
  const abort = new AbortController()
  const response = await fetch(url(), { signal: abort.signal })
  const { value } = await response.body!.getReader().read()
  expect(Buffer.from(value!).toString()).toBe('first')
  abort.abort()
  await left.promise
})

test('a chunked request ends the connection, since the proxy cannot see where it ends', async () => {
  await open((_request, response) => response.end())
  const body = new ReadableStream({
    start(controller) {
      controller.enqueue(Buffer.from('chunk'))
      controller.close()
    },
  })
  await expect(fetch(url(), { method: 'POST', body, duplex: 'half' })).rejects.toThrow()
})
