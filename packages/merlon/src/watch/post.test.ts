import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { postTo } from './post.ts'

const closing: (() => void)[] = []
afterEach(() => {
  for (const close of closing.splice(0)) close()
})

async function receiver(answer: (request: IncomingMessage, response: ServerResponse) => void) {
  const seen: { url: string; body: string; headers: IncomingMessage['headers'] }[] = []
  const server = createServer((request, response) => {
    let body = ''
    request.setEncoding('utf8').on('data', (chunk: string) => (body += chunk))
    request.on('end', () => {
      seen.push({ url: request.url ?? '', body, headers: request.headers })
      answer(request, response)
    })
  })
  closing.push(() => {
    server.close()
    server.closeAllConnections()
  })
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  return { seen, url: new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/hook?of=us`) }
}

test('a notice is posted whole, with its headers, on a connection of its own', async () => {
  const { seen, url } = await receiver((_request, response) => response.writeHead(204).end())
  expect(await postTo(url)('{"a":"ü"}', { 'webhook-id': 'msg_1', 'content-type': 'application/json' })).toBe(204)
  expect(seen).toEqual([
    {
      url: '/hook?of=us',
      body: '{"a":"ü"}',
      headers: expect.objectContaining({
        'webhook-id': 'msg_1',
        'content-type': 'application/json',
        'content-length': '10',
        connection: 'close',
      }),
    },
  ])
})

test('a redirect is an answer like any other, and is not followed', async () => {
  const elsewhere = await receiver((_request, response) => response.end())
  const { url } = await receiver((_request, response) =>
    response.writeHead(307, { Location: elsewhere.url.href }).end(),
  )
  expect(await postTo(url)('{}', {})).toBe(307)
  expect(elsewhere.seen).toEqual([])
})

test('an answer without an end is not read', async () => {
  const closed = Promise.withResolvers<void>()
  const { url } = await receiver((_request, response) => {
    response.on('close', closed.resolve)
    response.writeHead(200)
    response.write('x')
  })
  expect(await postTo(url)('{}', {})).toBe(200)
  await closed.promise
})

test('a receiver that does not answer, or is not there, is a failure', async () => {
  const { url } = await receiver(() => undefined)
  await expect(postTo(url, 50)('{}', {})).rejects.toMatchObject({ name: 'AbortError' })
  closing.splice(0)[0]!()
  await expect(postTo(url)('{}', {})).rejects.toMatchObject({ code: 'ECONNREFUSED' })
})
