import { once } from 'node:events'
import { createServer, ServerResponse } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { KnownHead } from './known-head.ts'

/*
 * Each answer is made twice: `/usual` as Node documents it, and `/known` by the head that is known. A client must not be able
 * to tell which it got.
 */

const fixed = ['X-Content-Type-Options', 'nosniff', 'Content-Type', 'application/json; charset=utf-8']
let sent = 0
let known = new KnownHead()
const server = createServer((request, response) => {
  const { searchParams: asked, pathname } = new URL(request.url ?? '', 'http://here')
  const body = asked.get('body') ?? ''
  const changing = ['RateLimit', `"a";r=${asked.get('left')}`]
  const bytes = Buffer.byteLength(body)
  if (pathname === '/known' && known.send(response, body, bytes, changing)) {
    sent++
    return
  }
  response.writeHead(200, [...fixed, ...changing, 'Content-Length', String(bytes)])
  response.end(body)
  known.learn(response, ['RateLimit'])
})
server.maxRequestsPerSocket = 3

beforeAll(() => once(server.listen(0, '127.0.0.1'), 'listening'))
afterAll(() => {
  server.closeAllConnections()
  server.close()
})

/** Sends requests on one connection at once, and reads until the server closes it. */
async function ask(...requests: readonly string[]): Promise<string> {
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
  let received = ''
  socket.setEncoding('utf8').on('data', (chunk: string) => (received += chunk))
  socket.write(requests.join(''))
  await once(socket, 'close')
  return received
}
const get = (target: string, ...headers: readonly string[]) =>
  [`GET ${target} HTTP/1.1`, 'Host: here', ...headers, '', ''].join('\r\n')
/** Answers with their header lines in an order of ours, and without what a second may change. */
const ordered = (answers: string) =>
  answers
    .replaceAll(/Date: [A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9:]{8} GMT\r\n/g, 'Date: now\r\n')
    .replaceAll(
      /(HTTP\/1\.1 200 OK\r\n)([\s\S]*?)\r\n\r\n/g,
      (_, first, lines) => `${first}${lines.split('\r\n').sort().join('\r\n')}\r\n\r\n`,
    )

test.each([
  [
    'one after the other',
    (path: string) => [get(`${path}?body=gr%C3%BCn&left=7`), get(`${path}?body=&left=0`), get(path)],
  ],
  ['on a connection that closes', (path: string) => [get(`${path}?body=x&left=1`, 'Connection: close')]],
  ['by HTTP/1.0', (path: string) => [`GET ${path}?body=old&left=1 HTTP/1.0\r\nHost: here\r\n\r\n`]],
  [
    'without a body',
    (path: string) => [`HEAD ${path}?body=long&left=1 HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n`],
  ],
])('TR-23: an answer %s is the one that Node makes', async (_, requests) => {
  known = new KnownHead()
  await ask(get('/usual?left=5&body=first'), get('/usual', 'Connection: close'))
  const usual = await ask(...requests('/usual'))
  expect(usual).toContain('Date: ')
  expect(ordered(await ask(...requests('/known')))).toBe(ordered(usual))
})

test('the head is known from the second answer on, and never where the connection closes', async () => {
  known = new KnownHead()
  sent = 0
  // The third on a connection is the last: Node says so in its head.
  await ask(get('/known'), get('/known'), get('/known'))
  expect(sent).toBe(1)
  await ask(get('/known', 'Connection: close'))
  expect(sent).toBe(1)
})

test('a Node that keeps its heads elsewhere makes each of them itself', () => {
  const elsewhere = new KnownHead()
  const response = new ServerResponse(
    Object.assign(Object.create(null), { method: 'GET', httpVersionMajor: 1, httpVersionMinor: 1 }),
  )
  for (const kept of [
    undefined,
    'HTTP/1.1 200 OK\r\n\r\n',
    'HTTP/2 200\r\nDate: x\r\n\r\n',
    'HTTP/1.1 200 OK\r\nDate: x',
  ]) {
    Object.assign(response, { _header: kept })
    elsewhere.learn(response, [])
    expect(elsewhere.send(response, '', 0, [])).toBe(false)
  }
})
