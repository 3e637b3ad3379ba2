import { expect, test } from 'vitest'
import type { AuditEntry } from '../audit/audit-log.ts'
import { type ConfigInput, configSchema } from '../config/schema.ts'
import { createDispatch } from '../dispatch/dispatch.ts'
import { handlersFor } from '../dispatch/handlers.ts'
import { FakeReply } from '../dispatch/reply.fixture.ts'
import { serverWith } from '../dispatch/server.fixture.ts'
import { arrivalOf, gateWith, principalWith, type Sent } from '../guard/arrival.fixture.ts'
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

test('RS-10: the metadata of the resource says whose tokens are taken, and how, and nothing that is not so', async () => {
  const { services } = serverWith([])
  const read = async (config: ConfigInput, path: string) => {
    const routes = routesFor({
      config: configSchema.parse(config),
      services,
      dispatch: createDispatch(services, handlersFor(services.catalog), () => {}),
      resource: () => 'https://mcp.example/mcp',
      ready: () => true,
    })
    const reply = new FakeReply()
    const headers = { host: 'evil.example', 'x-forwarded-host': 'evil.example' }
    await routes
      .get(path)
      ?.get('GET')
      ?.serve(arrivalOf({ verb: 'GET', url: path, headers }, gateWith({ hosts: undefined })), () => reply)
    return JSON.parse(reply.sent[0]?.replace('answer 200 ', '') ?? '') as unknown
  }
  const path = '/.well-known/oauth-protected-resource'
  const plain = {
    resource: 'https://mcp.example/mcp',
    bearer_methods_supported: ['header'],
    scopes_supported: ['read', 'write', 'admin'],
    dpop_signing_alg_values_supported: ['ES256', 'EdDSA', 'PS256', 'RS256'],
  }
  expect(await read({}, path)).toEqual(plain)
  const tenant = { value: 'default' }
  const one = { issuer: 'https://one.example', tenant }
  const bound = { issuer: 'https://two.example', tenant, dpop: 'required' as const }
  expect(await read({ identity: { issuers: [one, bound] } }, `${path}/mcp`)).toEqual({
    ...plain,
    authorization_servers: ['https://one.example', 'https://two.example'],
  })
  expect(await read({ identity: { issuers: [bound] } }, path)).toEqual({
    ...plain,
    authorization_servers: ['https://two.example'],
    dpop_bound_access_tokens_required: true,
  })
})
