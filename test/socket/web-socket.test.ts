import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { WebSocketClientTransport } from 'merlon/client'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { httpControl } from '../../packages/merlon/src/admin/http-control.ts'
import { Target } from '../attack/harness.ts'
import { ledger } from '../attack/project/src/ledger.ts'
import { Authority, hasOpenssl, install } from '../tls/certificates.ts'
import { openTls } from '../tls/server.ts'
import { frame, opcodes, opening, type RawSocket, stateless } from './raw-socket.ts'

const progress = { progressToken: 'p' }
const listed = (id: number) => stateless(id, 'tools/list')
const slow = (id: number) => stateless(id, 'tools/call', { name: 'slow', arguments: {} }, progress)

describe('a socket', () => {
  let target: Target
  let socket: RawSocket

  beforeEach(async () => {
    target = await Target.open({ webSocket: { enabled: true } })
    socket = await target.openSocket('A.read')
  })
  afterEach(async () => {
    await target.close()
  })

  test('WS-03: each message leaves the record that a POST leaves, and the socket one of its own', async () => {
    await socket.ask(stateless(1, 'tools/call', { name: 'echo', arguments: { text: 'x' } }))
    socket.write(frame(opcodes.close, Buffer.from('03e8', 'hex')))
    await socket.gone()
    const who = { tenant: 'tenant-a', clientId: target.key('A.read').id, ip: '127.0.0.1' }
    await target.settled(() => {
      expect(target.audit().filter(({ action }) => String(action).startsWith('socket'))).toEqual([
        expect.objectContaining({ ...who, type: 'session', success: true, action: 'socket' }),
        expect.objectContaining({ ...who, type: 'session', success: true, action: 'socket.close', outcome: '1000' }),
      ])
    })
    const calls = target.audit().filter(({ tool }) => tool === 'echo')
    expect(calls).toEqual([expect.objectContaining({ ...who, type: 'tool_access', success: true, scope: 'read' })])
  })

  test('WS-04: a message in few pieces, with a ping between them, is one', async () => {
    const text = JSON.stringify({ jsonrpc: '2.0', ...listed(1) })
    socket.write(frame(opcodes.text, text.slice(0, 10), { fin: false }))
    socket.write(frame(opcodes.ping, 'there?'))
    socket.write(frame(opcodes.continuation, text.slice(10)))
    expect(await socket.answer(1)).toHaveProperty('result')
    expect(socket.frames.find(({ opcode }) => opcode === opcodes.pong)?.payload.toString()).toBe('there?')
  })

  test('messages that come in one piece are taken in their order', async () => {
    const ids = Array.from({ length: 200 }, (_, at) => at)
    const bytes = ids.map((id) => frame(opcodes.text, JSON.stringify({ jsonrpc: '2.0', ...listed(id) })))
    socket.write(Buffer.concat(bytes))
    await socket.answer(199)
    expect(socket.messages.map(({ id }) => id)).toEqual(ids)
  })

  test('WS-05: more at once than anybody may send closes it', async () => {
    const text = frame(opcodes.text, 'x')
    socket.write(Buffer.concat(Array.from({ length: 9_000 }, () => text)))
    expect(await socket.closedWith()).toBe(1008)
    await target.settled(() =>
      expect(target.audit()).toContainEqual(expect.objectContaining({ type: 'rate_limit', reason: 'waiting' })),
    )
  })

  test('a server that stops takes nothing new, answers what is under way, and says goodbye', async () => {
    const idle = await target.openSocket('B.read')
    const listening = await target.openSocket('A.write')
    listening.send(stateless('s', 'subscriptions/listen', { notifications: { toolsListChanged: true } }))
    await listening.next()
    socket.send(slow(1))
    await socket.next()
    const closing = target.server.close()
    expect(await idle.closedWith()).toBe(1001)
    expect(await listening.answer('s')).toMatchObject({ result: { resultType: 'complete' } })
    expect(await listening.closedWith()).toBe(1001)
    expect(await socket.ask(listed(2))).toMatchObject({ id: 2, error: { data: { code: 'DRAINING' } } })
    socket.send({ method: 'notifications/cancelled', params: { requestId: 1 } })
    target.advance(11_000)
    expect(await socket.closedWith()).toBe(1001)
    await closing
    target.server = { ...target.server, close: async () => {} }
    for (const each of [socket, idle, listening]) await each.gone()
  })

  test('a session that an administrator ends takes its socket with it, and its calls', async () => {
    await socket.ask({ id: 0, method: 'initialize', params: opening })
    socket.send({ method: 'notifications/initialized' })
    socket.send({ id: 1, method: 'tools/call', params: { name: 'slow', arguments: {}, _meta: progress } })
    await socket.until(() => socket.messages.some(({ method }) => method === 'notifications/progress'), 'progress')
    const aborted = ledger().aborted.length
    const control = httpControl({ socket: target.server.control.socket ?? '' })
    const { body } = await control.call('sessions.list')
    const { items } = body as { items: readonly { id: string }[] }
    expect(items).toHaveLength(1)
    await control.call('sessions.end', { params: { id: items[0]!.id } })
    expect(await socket.closedWith()).toBe(4404)
    await target.settled(() => expect(ledger().aborted.length - aborted).toBe(1))
  })

  test('its session ends with it: nobody goes on with it, and it counts no more', async () => {
    await socket.ask({ id: 0, method: 'initialize', params: opening })
    const control = httpControl({ socket: target.server.control.socket ?? '' })
    const open = async () => ((await control.call('sessions.list')).body as { items: unknown[] }).items.length
    expect(await open()).toBe(1)
    socket.destroy()
    await target.settled(async () => expect(await open()).toBe(0))
  })

  test('a session hears what changes, and is asked in the midst of a call', async () => {
    await socket.ask({ id: 0, method: 'initialize', params: opening })
    socket.send({ method: 'notifications/initialized' })
    socket.send({ id: 1, method: 'tools/call', params: { name: 'ask', arguments: { about: 'grass' } } })
    await socket.until(() => socket.messages.some(({ method }) => method === 'elicitation/create'), 'a question')
    const question = socket.messages.find(({ method }) => method === 'elicitation/create')!
    socket.send({ id: question.id, result: { action: 'accept', content: { color: 'green' } } })
    expect(await socket.answer(1)).toMatchObject({ result: { content: [{ text: 'grass is green' }] } })
  })
})

test.skipIf(!hasOpenssl)(
  'WS-02: over TLS it is the same, and a client that checks the certificate says so',
  async () => {
    const folder = mkdtempSync(join(tmpdir(), 'merlon-wss-'))
    const authority = new Authority(folder, 'ours')
    install(authority.issue('server'), { certificate: join(folder, 'cert.pem'), key: join(folder, 'key.pem') })
    const server = await openTls(folder)
    try {
      const { url } = server
      expect(url).toMatch(/^https:/)
      const transportWith = (trust: object) =>
        new WebSocketClientTransport(url, {
          headers: { Authorization: `Bearer ${server.firstStart?.key}` },
          connect: (address, protocols, headers) => {
            expect(address).toMatch(/^wss:/)
            return new WebSocket(address, protocols, { headers, ...trust })
          },
        })
      await expect(transportWith({}).start()).rejects.toThrow('the socket could not be opened')
      const transport = transportWith({ ca: readFileSync(authority.certificate) })
      const answered = new Promise<unknown>((resolve) => {
        transport.onmessage = resolve
      })
      await transport.start()
      await transport.send({ jsonrpc: '2.0', ...listed(1) })
      expect(await answered).toMatchObject({ id: 1, result: { tools: expect.any(Array) } })
      await transport.close()
    } finally {
      await server.close()
      rmSync(folder, { recursive: true, force: true })
    }
  },
)
