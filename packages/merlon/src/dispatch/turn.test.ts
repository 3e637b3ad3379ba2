import { expect, test } from 'vitest'
import { DirectLine } from './line.ts'
import type { Ready } from './ready.ts'
import { FakeReply } from './reply.fixture.ts'
import { alice, serverWith } from './server.fixture.ts'
import { Turn } from './turn.ts'

test('RL-17: what is held open keeps of the request no more than it needs', () => {
  const { services } = serverWith([])
  const { stateless: revision } = services.revisions
  const filler = 'x'.repeat(1_000)
  const call: Ready = {
    requestId: 'r1',
    startedAt: 0,
    address: '192.0.2.1',
    principal: alice,
    message: { kind: 'request', id: 'sub', method: 'subscriptions/listen', params: { filler } },
    envelope: {
      revision,
      client: { name: 'c', version: '1', capabilities: { filler } },
      progressToken: undefined,
      logLevel: undefined,
      trace: undefined,
    },
    session: undefined,
    target: undefined,
    input: undefined,
  }
  const turn = new Turn(services, call, new DirectLine(new FakeReply(), 'stream', revision, 'r1'), () => {})
  turn.hold(() => '{}')
  expect(JSON.stringify([call.message, call.envelope])).not.toContain(filler)
  expect(turn.call.message).toMatchObject({ id: 'sub', method: 'subscriptions/listen' })
})
