import { setImmediate as turn } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import type { Params } from '../call.ts'
import { type CallContext, defineResource, defineTool } from '../catalog/define.ts'
import { FakeReply } from './reply.fixture.ts'
import { serverWith } from './server.fixture.ts'

/** A tool that waits until it is told to end, and keeps its context. */
function waiting(more: object = {}) {
  const held: { end: (value: unknown) => void; ctx: CallContext }[] = []
  const tool = defineTool({
    name: 'wait',
    description: 'Waits.',
    input: { type: 'object' },
    run: (_input, ctx) => new Promise((end) => held.push({ end, ctx })),
    ...more,
  })
  return { tool, held }
}
const call = { name: 'wait' }
const cancel = (requestId: unknown) =>
  ({ kind: 'notification', method: 'notifications/cancelled', params: { requestId } }) as const
const dataOf = (reply: FakeReply) => (reply.messages.at(-1)!['error'] as { data: Params }).data

describe('a call', () => {
  test('is answered once: what comes after its time is not sent and not recorded', async () => {
    const { tool, held } = waiting()
    const server = serverWith([tool])
    const reply = new FakeReply()
    const sent = server.send('tools/call', call, { reply })
    await turn()
    const { signal } = held[0]!.ctx
    server.services.running.sweep(server.clock.now + 30_000)
    expect(dataOf(reply)).toEqual({ code: 'TOOL_TIMEOUT' })
    expect(signal.aborted).toBe(true)
    held[0]!.end('late')
    await sent
    expect(reply.sent).toHaveLength(1)
    expect(server.records).toEqual([{ method: 'tools/call', code: 'tool.timeout', outcome: 'failed' }])
    expect(server.services.running.size).toBe(0)
  })

  test('RL-06: is not begun while its principal has as many under way as it may', async () => {
    const { tool, held } = waiting()
    const server = serverWith([tool], { callCaps: { perPrincipal: 2, perTenant: 16, perTool: 16 } })
    const sent = [server.send('tools/call', call), server.send('tools/call', call)]
    await turn()
    await expect(server.send('tools/call', call)).rejects.toMatchObject({ code: 'capacity.exceeded' })
    expect(held).toHaveLength(2)
    held[0]!.end('done')
    await sent[0]
    void server.send('tools/call', call)
    await turn()
    expect(held).toHaveLength(3)
  })

  test('has the time of its tool where that names one', async () => {
    const { tool, held } = waiting({ timeoutMs: 100 })
    const server = serverWith([tool])
    const reply = new FakeReply()
    void server.send('tools/call', call, { reply })
    await turn()
    expect(held[0]!.ctx.deadline).toBe(server.clock.now + 100)
    server.services.running.sweep(server.clock.now + 99)
    expect(reply.gone).toBe(false)
    server.services.running.sweep(server.clock.now + 100)
    expect(dataOf(reply)).toEqual({ code: 'TOOL_TIMEOUT' })
  })

  test('TR-21: of 2026-07-28 is cancelled when the client leaves', async () => {
    const { tool, held } = waiting()
    const server = serverWith([tool])
    const reply = new FakeReply()
    void server.send('tools/call', call, { reply })
    await turn()
    const { signal } = held[0]!.ctx
    reply.leave()
    expect(signal.aborted).toBe(true)
    expect(server.services.running.size).toBe(0)
    expect(server.records).toEqual([{ method: 'tools/call', code: 'call.cancelled', outcome: 'cancelled' }])
  })

  test('TR-21: of a session goes on when the client leaves, and its signal is not aborted', async () => {
    const { tool, held } = waiting()
    const server = serverWith([tool])
    const reply = new FakeReply()
    const sent = server.send('tools/call', call, { reply, session: server.openSession() })
    await turn()
    reply.leave()
    expect(held[0]!.ctx.signal.aborted).toBe(false)
    held[0]!.end('done')
    await sent
    expect(server.records).toEqual([{ method: 'tools/call', code: undefined, outcome: 'completed' }])
  })

  test('is not answered after it was cancelled', async () => {
    const { tool, held } = waiting()
    const server = serverWith([tool])
    const session = server.openSession()
    const reply = new FakeReply()
    const sent = server.send('tools/call', call, { id: 'x', reply, session })
    await turn()
    for (const other of [1, 'y', undefined, {}, '__proto__']) server.tell(cancel(other), { session })
    server.tell(cancel('x'), { session: server.openSession() })
    expect(reply.gone).toBe(false)
    expect(server.tell(cancel('x'), { session }).sent).toEqual(['finish'])
    expect(held[0]!.ctx.signal.aborted).toBe(true)
    held[0]!.end('late')
    await sent
    expect(reply.sent).toEqual(['finish'])
  })

  test('TR-15: with an id that is still being answered is refused, and the first is not touched', async () => {
    const { tool, held } = waiting()
    const server = serverWith([tool])
    const session = server.openSession()
    const [first, second] = [new FakeReply(), new FakeReply()]
    const sent = server.send('tools/call', call, { id: 1, reply: first, session })
    await turn()
    await expect(server.send('tools/call', call, { id: 1, reply: second, session })).rejects.toMatchObject({
      code: 'id.in-flight',
    })
    void server.send('tools/call', call, { id: '1', session })
    void server.send('tools/call', call, { id: 1, session: server.openSession() })
    await turn()
    held[0]!.end('done')
    await sent
    expect(first.messages).toHaveLength(1)
    expect(second.messages).toEqual([])
    // Once answered the id is free again.
    const again = server.send('tools/call', call, { id: 1, session })
    await turn()
    held.at(-1)!.end('done')
    expect((await again).messages[0]).toMatchObject({ id: 1 })
  })

  test('TR-22: two sessions with the same ids do not hear each other', async () => {
    const { tool, held } = waiting()
    const server = serverWith([tool])
    const replies = [new FakeReply(), new FakeReply()]
    const sent = replies.map((reply) =>
      server.send('tools/call', call, { id: 1, progressToken: 1, reply, session: server.openSession() }),
    )
    await turn()
    held.forEach(({ ctx, end }, at) => {
      ctx.progress(at + 1)
      end(`answer ${at}`)
    })
    await Promise.all(sent)
    replies.forEach((reply, at) => {
      expect(reply.messages[0]).toMatchObject({ params: { progress: at + 1 } })
      expect(reply.messages[1]).toMatchObject({ result: { content: [{ text: `answer ${at}` }] } })
      expect(reply.messages).toHaveLength(2)
    })
  })

  test('that fails inside tells the caller nothing but the request id, and the log the cause', async () => {
    const broken = () => {
      throw new Error('password=canary')
    }
    for (const read of [broken, async () => broken()]) {
      const server = serverWith([defineResource({ name: 'r', uri: 'app://r', read })])
      const reply = await server.send('resources/read', { uri: 'app://r' })
      expect(reply.messages[0]).toEqual({
        jsonrpc: '2.0',
        id: 1,
        error: { code: -32603, message: 'Internal error', data: { code: 'INTERNAL_ERROR', requestId: 'r1' } },
      })
      expect(server.logged).toEqual(['a call failed'])
      expect(server.records).toEqual([{ method: 'resources/read', code: 'internal', outcome: 'failed' }])
    }
  })

  test('is given time to end when the server stops, and then ended', async () => {
    const { tool, held } = waiting()
    const server = serverWith([tool])
    const replies = [new FakeReply(), new FakeReply()]
    for (const reply of replies) void server.send('tools/call', call, { reply })
    await turn()
    const drained = server.services.running.drain(5)
    held[0]!.end('done')
    await drained
    expect(replies[0]!.messages[0]).toHaveProperty('result')
    expect(dataOf(replies[1]!)).toEqual({ code: 'DRAINING' })
  })
})

describe('the form of an answer', () => {
  const progressing = defineTool({
    name: 'wait',
    description: 'd',
    input: { type: 'object' },
    run: (_input, ctx) => {
      ctx.progress(1)
      return 'done'
    },
  })

  test.each([
    ['auto', 'p', true],
    ['auto', undefined, false],
    ['json', 'p', false],
    ['stream', undefined, true],
  ] as const)('A17: %s with a progress token %s streams: %s', async (responseMode, progressToken, streams) => {
    const server = serverWith([progressing], { responseMode })
    const asked = progressToken === undefined ? {} : { progressToken }
    for (const session of [undefined, server.openSession()]) {
      const reply = await server.send('tools/call', call, { ...asked, ...(session === undefined ? {} : { session }) })
      expect(reply.streaming).toBe(streams)
      expect(reply.messages.at(-1)).toHaveProperty('result')
      expect(reply.gone).toBe(true)
    }
  })
})

describe('a session', () => {
  const open = (server: ReturnType<typeof serverWith>, params: Params = { protocolVersion: '2025-11-25' }) => {
    const session = server.openSession()
    void server.services.sessions?.end(session.id, session.binding, server.clock.now)
    return server.send('initialize', params, { session })
  }

  test('SE-01: is opened under an id of 256 random bits, told in a header alone', async () => {
    const server = serverWith([])
    const replies = [await open(server), await open(server)]
    const ids = replies.map((reply) => reply.headers.get('Mcp-Session-Id')!)
    expect(new Set(ids).size).toBe(2)
    for (const [at, id] of ids.entries()) {
      expect(id).toMatch(/^[A-Za-z0-9_-]{43}$/)
      expect(replies[at]!.sent.join()).not.toContain(id)
      expect(await server.services.sessions?.find(id, 't1 user alice key_alice', server.clock.now)).toMatchObject({
        tenant: 't1',
        version: '2025-11-25',
      })
    }
    expect(replies[0]!.messages[0]!['result']).toMatchObject({
      protocolVersion: '2025-11-25',
      serverInfo: { name: 's', version: '1' },
    })
  })

  test('SE-06: is not opened beyond a cap', async () => {
    const server = serverWith([], { sessionCaps: { perPrincipal: 1, perTenant: 9, total: 9 } })
    await open(server)
    const reply = await open(server)
    expect(dataOf(reply)).toEqual({ code: 'SESSION_CAPACITY' })
    expect(reply.sent[0]).toMatch(/^answer 503 /)
    expect([...reply.headers]).toEqual([['Retry-After', '30']])
  })

  test('needs a version to begin with', async () => {
    for (const protocolVersion of [undefined, 7, null])
      expect(dataOf(await open(serverWith([]), { protocolVersion }))).toEqual({ code: 'INVALID_PARAMS' })
  })

  test('keeps the log level that the client sets', async () => {
    const server = serverWith([])
    const session = server.openSession()
    await server.send('logging/setLevel', { level: 'error' }, { session })
    expect(await server.services.sessions?.find(session.id, session.binding, server.clock.now)).toMatchObject({
      logLevel: 'error',
    })
    expect(dataOf(await server.send('logging/setLevel', { level: 'loud' }, { session }))).toEqual({
      code: 'INVALID_PARAMS',
    })
  })
})
