import { expect, test } from 'vitest'
import type { AuditEntry } from './audit/audit-log.ts'
import { configSchema } from './config/schema.ts'
import { createDispatch } from './dispatch/dispatch.ts'
import { handlersFor } from './dispatch/handlers.ts'
import { FakeReply } from './dispatch/reply.fixture.ts'
import { serverWith } from './dispatch/server.fixture.ts'
import { arrivalOf, gateWith, principalWith, type Sent } from './guard/arrival.fixture.ts'
import { routesFor } from './routes.ts'

test('AL-01: what a client does with its session leaves a record: its stream, a resume, its end', async () => {
  const { services, openSession } = serverWith([])
  const records: AuditEntry[] = []
  const gate = gateWith({
    sessions: services.sessions,
    audit: {
      append: (entry) => records.push(entry),
      appendLine() {},
      commit: async () => {},
      check() {},
      close: async () => {},
    },
  })
  const { id } = openSession({}, principalWith(['read']))
  const routes = routesFor({
    config: configSchema.parse({}),
    services,
    dispatch: createDispatch(services, handlersFor(services.catalog), () => {}),
    resource: () => 'http://localhost:4000/mcp',
    ready: () => true,
  })
  const ask = async (verb: string, more: Sent['headers'] = {}) => {
    const reply = new FakeReply()
    const headers = {
      host: 'localhost:4000',
      'x-api-key': 'good',
      accept: 'text/event-stream',
      'mcp-session-id': id,
      ...more,
    }
    await routes
      .get('/mcp')
      ?.get(verb)
      ?.serve(arrivalOf({ verb, headers }, gate), () => reply)
    return reply
  }
  const stream = await ask('GET')
  stream.leave()
  await ask('GET', { 'last-event-id': stream.ids[0] })
  await ask('DELETE')
  await expect(ask('DELETE')).rejects.toMatchObject({ code: 'session.unknown' })
  expect(
    records.map(({ type, action, clientId, tenant, success }) => [type, action, clientId, tenant, success]),
  ).toEqual(['stream', 'resume', 'end'].map((action) => ['session', action, 'key_1', 't1', true]))
})
