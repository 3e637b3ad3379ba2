import { describe, expect, test } from 'vitest'
import type { Params, Principal } from '../../call.ts'
import { defineResource, defineTool } from '../../catalog/define.ts'
import { scopeSet } from '../../policy/scopes.ts'
import { FakeReply } from '../reply.fixture.ts'
import { alice, serverWith } from '../server.fixture.ts'
import { openSessionStream } from '../session-endpoints.ts'

const resource = (name: string, scope: string) =>
  defineResource({ name, uri: `app://${name}`, scope, read: () => name })
const catalog = [
  resource('open', 'read'),
  resource('closed', 'admin'),
  defineTool({ name: 't', description: 'd', input: { type: 'object' }, run: () => '' }),
]
const id = 'io.modelcontextprotocol/subscriptionId'

const listen = async (notifications: unknown, principal: Principal = alice, server = serverWith(catalog)) => {
  const reply = new FakeReply()
  void server.send('subscriptions/listen', { notifications }, { reply, principal, id: 'sub' })
  await Promise.resolve()
  await Promise.resolve()
  return { server, reply }
}
const methods = (reply: FakeReply) => reply.messages.map(({ method }) => method)
const acknowledged = (reply: FakeReply) => (reply.messages[0]!['params'] as { notifications: Params }).notifications
const announceAll = ({ services }: ReturnType<typeof serverWith>) => {
  for (const kind of ['tools', 'prompts', 'resources'] as const) services.changes.announce({ kind })
  for (const uri of ['app://open', 'app://closed', 'app://none']) services.changes.announce({ kind: 'resource', uri })
}

describe('subscriptions/listen (2026-07-28)', () => {
  test('acknowledges first, then carries what was asked for, and nothing else', async () => {
    const wants: readonly [Params, string[]][] = [
      [{}, []],
      [{ toolsListChanged: true }, ['notifications/tools/list_changed']],
      [
        { promptsListChanged: true, resourcesListChanged: true },
        ['notifications/prompts/list_changed', 'notifications/resources/list_changed'],
      ],
      [{ resourceSubscriptions: ['app://open'] }, ['notifications/resources/updated']],
      [{ toolsListChanged: false, promptsListChanged: 'true', resourcesListChanged: 1 }, []],
    ]
    for (const [wanted, expected] of wants) {
      const { server, reply } = await listen(wanted)
      announceAll(server)
      expect(methods(reply)).toEqual(['notifications/subscriptions/acknowledged', ...expected])
      for (const message of reply.messages) expect(message['params']).toMatchObject({ _meta: { [id]: 'sub' } })
      expect(reply.streaming && !reply.gone).toBe(true)
    }
  })

  test('RL-17: the URIs that a stream remembers have a bound in their length', async () => {
    const within = await listen({ resourceSubscriptions: Array.from({ length: 8 }, () => 'x'.repeat(8_192)) })
    expect(methods(within.reply)).toEqual(['notifications/subscriptions/acknowledged'])
    const beyond = await listen({ resourceSubscriptions: ['x', 'x'.repeat(65_536)] })
    expect(beyond.reply.messages[0]).toMatchObject({ error: { data: { code: 'INVALID_PARAMS' } } })
  })

  test('AU-03: what the caller may not read is not acknowledged and not told of', async () => {
    const { server, reply } = await listen({
      resourceSubscriptions: ['app://closed', 'app://open', 'app://none'],
      unknown: true,
    })
    expect(acknowledged(reply)).toEqual({ resourceSubscriptions: ['app://open'] })
    announceAll(server)
    expect(reply.messages.slice(1).map(({ params }) => (params as Params)['uri'])).toEqual(['app://open'])
  })

  test('AU-09: a change that the caller cannot see is none to it', async () => {
    const { server, reply } = await listen({ toolsListChanged: true })
    server.services.changes.announce({ kind: 'tools', seenBy: ({ tenant }) => tenant !== 't1' })
    expect(reply.messages).toHaveLength(1)
    server.services.changes.announce({ kind: 'tools', seenBy: ({ tenant }) => tenant === 't1' })
    expect(reply.messages).toHaveLength(2)
  })

  test('AU-09: a resource that the catalog has closed since is not told of any more', async () => {
    const { server, reply } = await listen({ resourceSubscriptions: ['app://open'] })
    server.catalog.now = serverWith([resource('open', 'admin')]).catalog.now
    server.services.changes.announce({ kind: 'resource', uri: 'app://open' })
    expect(reply.messages).toHaveLength(1)
  })

  test('a filter that makes no sense is refused', async () => {
    for (const filter of [
      undefined,
      null,
      [],
      'tools',
      { resourceSubscriptions: 'app://open' },
      { resourceSubscriptions: [7] },
      { resourceSubscriptions: Array(1_001).fill('app://open') },
    ]) {
      const { reply } = await listen(filter)
      expect(reply.messages[0]).toMatchObject({ error: { data: { code: 'INVALID_PARAMS' } } })
    }
  })

  test('RL-17: a credential holds so many and no more; one that left makes room and hears nothing more', async () => {
    const server = serverWith(catalog, { streamsPerPrincipalMax: 1 })
    const first = await listen({ toolsListChanged: true }, alice, server)
    const second = await listen({ toolsListChanged: true }, alice, server)
    expect(second.reply.messages[0]).toMatchObject({ error: { data: { code: 'OVERLOADED' } } })
    first.reply.leave()
    const third = await listen({ toolsListChanged: true }, alice, server)
    announceAll(server)
    expect(methods(third.reply)).toHaveLength(2)
    expect(methods(first.reply)).toHaveLength(1)
    expect(server.services.running.size).toBe(1)
  })

  test('ends with a last result that names it when the server stops, whatever its id', async () => {
    for (const name of ['sub', "$& $' $` $1", '"', 7]) {
      const server = serverWith(catalog)
      const reply = new FakeReply()
      void server.send('subscriptions/listen', { notifications: {} }, { reply, id: name })
      await Promise.resolve()
      await server.services.running.drain(0)
      expect(reply.messages.at(-1)).toMatchObject({
        id: name,
        result: { resultType: 'complete', _meta: { [id]: name, 'io.modelcontextprotocol/serverInfo': { name: 's' } } },
      })
      expect(reply.gone).toBe(true)
    }
  })

  test('has no deadline, and ends with its credential', async () => {
    const { server, reply } = await listen({ toolsListChanged: true }, { ...alice, expiresAt: 1_800_000_100_000 })
    server.services.running.sweep(1_800_000_099_999)
    expect(reply.gone).toBe(false)
    server.services.running.sweep(1_800_000_100_000)
    expect(reply.messages.at(-1)).toMatchObject({ error: { data: { code: 'INVALID_API_KEY' } } })
  })
})

describe('changes in a session (to 2025-11-25)', () => {
  const open = async (principal = alice) => {
    const server = serverWith(catalog)
    const session = server.openSession({}, principal)
    const reply = new FakeReply()
    await openSessionStream(server.services, { principal, session }, undefined, reply)
    const send = (method: string, uri: string) => server.send(method, { uri }, { session, principal })
    return { server, reply, send }
  }

  test('a resource is told of while it is subscribed to', async () => {
    const { server, reply, send } = await open()
    await send('resources/subscribe', 'app://open')
    announceAll(server)
    await send('resources/unsubscribe', 'app://open')
    server.services.changes.announce({ kind: 'resource', uri: 'app://open' })
    expect(methods(reply)).toEqual([
      'notifications/tools/list_changed',
      'notifications/prompts/list_changed',
      'notifications/resources/list_changed',
      'notifications/resources/updated',
    ])
  })

  test('AU-09: not any more once the caller may not read it', async () => {
    const { server, reply, send } = await open()
    await send('resources/subscribe', 'app://open')
    server.catalog.now = serverWith([resource('open', 'admin')]).catalog.now
    server.services.changes.announce({ kind: 'resource', uri: 'app://open' })
    expect(reply.messages).toEqual([])
    server.catalog.now = serverWith([resource('open', 'read')]).catalog.now
    server.services.changes.announce({ kind: 'resource', uri: 'app://open' })
    expect(reply.messages).toHaveLength(1)
  })

  test('SE-04 AU-09: what a wider credential of the same principal subscribed to is not told to a narrower one that reads', async () => {
    const { server, reply, send } = await open()
    const session = [...server.services.live.all()][0]!.session
    const wider = {
      ...alice,
      credential: 'wider',
      granted: scopeSet(['read', 'admin']),
      effective: scopeSet(['read', 'admin']),
    }
    await send('resources/subscribe', 'app://open')
    await server.send('resources/subscribe', { uri: 'app://closed' }, { session, principal: wider })
    // As a guard does with each call.
    const now = await server.services.sessions!.find(session.id, alice.binding, server.clock.now)
    await server.send('tools/call', { name: 't' }, { session: now!, principal: wider, id: 2 })
    for (const uri of ['app://closed', 'app://open']) server.services.changes.announce({ kind: 'resource', uri })
    expect(reply.messages.map(({ params }) => (params as Params)['uri'])).toEqual(['app://open'])
    server.services.changes.announce({ kind: 'tools', seenBy: ({ credential }) => credential === 'wider' })
    expect(reply.messages).toHaveLength(1)
  })

  test('AU-09: a list that did not change for the caller is not told of', async () => {
    const { server, reply } = await open({ ...alice, granted: scopeSet(['read']) })
    server.services.changes.announce({ kind: 'tools', seenBy: ({ granted }) => granted.has('write') })
    expect(reply.messages).toEqual([])
  })
})
