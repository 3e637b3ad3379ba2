import { expect, test } from 'vitest'
import type { Params } from '../../call.ts'
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
