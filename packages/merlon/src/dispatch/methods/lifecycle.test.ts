import { expect, test } from 'vitest'
import type { Params } from '../../call.ts'
import { FakeReply } from '../reply.fixture.ts'
import { serverWith } from '../server.fixture.ts'

const opened = async (capabilities: Params) => {
  const server = serverWith([])
  const session = server.openSession()
  await server.services.sessions?.end(session.id, session.binding, server.clock.now)
  const reply = await server.send('initialize', { protocolVersion: '2025-11-25' }, { session, capabilities })
  return { reply, sessions: await server.services.sessions?.count(server.clock.now) }
}

test('RL-17: a session remembers of its client what has a bound', async () => {
  const usual = await opened({ roots: { listChanged: true }, sampling: {}, elicitation: { form: {}, url: {} } })
  expect(usual.reply.headers.size).toBe(1)
  expect(usual.sessions).toBe(1)
  for (const filler of ['x'.repeat(8_192), Array.from({ length: 3_000 }, () => ({}))]) {
    const { reply, sessions } = await opened({ experimental: { filler } })
    expect(reply.messages[0]).toMatchObject({ error: { code: -32602, data: { code: 'INVALID_PARAMS' } } })
    expect(reply.headers.size).toBe(0)
    expect(sessions).toBe(0)
  }
})

test('RL-17 WS-05: of a session whose client left while it was opened nothing stays, and nobody is told its id', async () => {
  const server = serverWith([])
  const { services, clock } = server
  const reply = new FakeReply()
  const open = services.sessions!.open.bind(services.sessions)
  services.sessions!.open = async (...asked) => {
    await Promise.resolve()
    reply.leave()
    return open(...asked)
  }
  const message = { kind: 'request', id: 1, method: 'initialize', params: { protocolVersion: '2025-11-25' } } as const
  const asked = server.admitted(message, {})
  const revision = services.revisions.stateful.get('2025-11-25')!
  await server.dispatch({ ...asked, envelope: { ...asked.envelope, revision } }, reply)
  expect([reply.headers.size, reply.sent, await services.sessions!.count(clock.now)]).toEqual([0, [], 0])
})
