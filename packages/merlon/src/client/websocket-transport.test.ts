import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { WebSocket as OtherWebSocket, type WebSocket, WebSocketServer } from 'ws'
import { fetchTicket, WebSocketClientTransport, WebSocketClosedError } from './websocket-transport.ts'

let http: Server
let sockets: WebSocketServer
let url: string
const opened: { headers: Record<string, string | string[] | undefined>; socket: WebSocket }[] = []

beforeEach(async () => {
  opened.length = 0
  http = createServer((request, response) => {
    const ok = request.method === 'POST' && request.headers.authorization === 'Bearer good'
    response.statusCode = ok ? 200 : 401
    response.end(ok ? `{"ticket":"for ${request.url}"}` : 'no')
  })
  sockets = new WebSocketServer({ server: http, handleProtocols: () => 'mcp' })
  sockets.on('connection', (socket, { headers }) => opened.push({ headers, socket }))
  http.listen(0, '127.0.0.1')
  await once(http, 'listening')
  url = `http://127.0.0.1:${(http.address() as AddressInfo).port}/mcp`
})
afterEach(async () => {
  for (const { socket } of opened) socket.terminate()
  sockets.close()
  http.closeAllConnections()
  http.close()
})

function heard(transport: WebSocketClientTransport) {
  const events: unknown[] = []
  const closed = new Promise<void>((resolve) => {
    transport.onclose = () => {
      events.push('closed')
      resolve()
    }
  })
  transport.onmessage = (message) => void events.push(message)
  transport.onerror = (error) => void events.push(error)
  return { events, closed }
}

describe('the address', () => {
  test.each([
    ['https://mcp.example/mcp', 'wss:'],
    ['wss://mcp.example/mcp', 'wss:'],
    ['http://localhost:4000/mcp', 'ws:'],
    ['ws://127.0.0.1:4000/mcp', 'ws:'],
    ['ws://[::1]:4000/mcp', 'ws:'],
  ])('%s is called by %s', async (given, scheme) => {
    let called = ''
    const connect = (address: string) => {
      called = address
      throw new Error('enough')
    }
    await expect(new WebSocketClientTransport(given, { connect }).start()).rejects.toThrow('enough')
    expect(new URL(called).protocol).toBe(scheme)
  })

  test.each([
    ['ws://mcp.example/mcp', /in clear/],
    ['http://10.1.2.3/mcp', /in clear/],
    ['http://localhost.evil.example/mcp', /in clear/],
    ['wss://mrl_key:@mcp.example/mcp', /credential/],
    ['wss://user:key@mcp.example/mcp', /credential/],
    ['ftp://mcp.example/mcp', /no address of a socket/],
  ])('WS-02: %s is refused', (given, why) => {
    expect(() => new WebSocketClientTransport(given)).toThrow(why)
  })
})

test('a header carries the credential, and the subprotocol is mcp', async () => {
  const transport = new WebSocketClientTransport(url, { headers: { Authorization: 'Bearer good' } })
  await transport.start()
  expect(opened[0]?.headers).toMatchObject({ authorization: 'Bearer good', 'sec-websocket-protocol': 'mcp' })
  await transport.close()
})

test('the WebSocket of another package does as well', async () => {
  const transport = new WebSocketClientTransport(url, {
    headers: { 'X-API-Key': 'good' },
    connect: (address, protocols, headers) => new OtherWebSocket(address, protocols, { headers }),
  })
  const { events } = heard(transport)
  await transport.start()
  opened[0]?.socket.send('{"id":1}')
  await expect.poll(() => events).toEqual([{ id: 1 }])
  expect(opened[0]?.headers['x-api-key']).toBe('good')
  await transport.close()
})

test('WS-02: a ticket is asked for with a header, and shown beside the subprotocol', async () => {
  const offered: string[][] = []
  const transport = new WebSocketClientTransport(url, {
    ticket: () => fetchTicket(url, { Authorization: 'Bearer good' }),
    connect: (_address, protocols) => {
      offered.push(protocols)
      throw new Error('enough')
    },
  })
  await expect(transport.start()).rejects.toThrow('enough')
  expect(offered).toEqual([['mcp', 'mcp.ticket.for /mcp/ticket']])
  await expect(fetchTicket(url, {})).rejects.toThrow('no ticket was given: 401 no')
  expect(() => new WebSocketClientTransport(url, { headers: {}, ticket: async () => '' })).toThrow('not with both')
})

test('messages come one in a turn, so that a notification is heard before the result behind it', async () => {
  const transport = new WebSocketClientTransport(url)
  const { events, closed } = heard(transport)
  const turns: number[] = []
  let turn = 0
  const count = () => {
    turn++
    if (events.at(-1) !== 'closed') setImmediate(count)
  }
  transport.onmessage = (message) => {
    events.push(message)
    turns.push(turn)
  }
  await transport.start()
  setImmediate(count)
  const { socket } = opened[0]!
  // In one piece: one read of the client brings them all.
  const connection = (socket as unknown as { _socket: { cork(): void; uncork(): void } })._socket
  connection.cork()
  for (let id = 1; id <= 3; id++) socket.send(`{"id":${id}}`)
  socket.close(1001, 'the server is stopping')
  connection.uncork()
  await closed
  expect(events.slice(0, 3)).toEqual([{ id: 1 }, { id: 2 }, { id: 3 }])
  expect(new Set(turns).size).toBe(3)
  expect(events[3]).toMatchObject({ name: 'WebSocketClosedError', code: 1001, reason: 'the server is stopping' })
  expect(events[4]).toBe('closed')
})

test('what is no JSON is told, and the next message is taken', async () => {
  const transport = new WebSocketClientTransport(url)
  const { events } = heard(transport)
  await transport.start()
  opened[0]?.socket.send('nonsense')
  opened[0]?.socket.send('{}')
  await expect.poll(() => events).toEqual([expect.any(SyntaxError), {}])
  await transport.close()
})

test('it is closed once, and without an error where that was asked for', async () => {
  const transport = new WebSocketClientTransport(url)
  const { events, closed } = heard(transport)
  await expect(transport.send({})).rejects.toThrow('not open')
  await transport.start()
  await expect(transport.start()).rejects.toThrow('opened before')
  await transport.close()
  await transport.close()
  await closed
  expect(events).toEqual(['closed'])
})

test('one that was closed while it waited for its ticket is not opened', async () => {
  const ticket = Promise.withResolvers<string>()
  const transport = new WebSocketClientTransport(url, { ticket: () => ticket.promise })
  const starting = transport.start()
  await transport.close()
  ticket.resolve('late')
  await expect(starting).rejects.toThrow('closed before')
  expect(opened).toEqual([])
})

test('a server that opens no socket, or speaks something else, is told of by what start rejects with', async () => {
  sockets.options.handleProtocols = () => false
  const other = (address: string, protocols: string[]) => new OtherWebSocket(address, protocols)
  for (const connect of [undefined, other]) {
    const transport = new WebSocketClientTransport(url, connect && { connect })
    await expect(transport.start()).rejects.toBeInstanceOf(WebSocketClosedError)
  }
  http.removeAllListeners('upgrade')
  for (const connect of [undefined, other]) {
    const transport = new WebSocketClientTransport(url, connect && { connect })
    await expect(transport.start()).rejects.toThrow('the socket could not be opened')
  }
})
