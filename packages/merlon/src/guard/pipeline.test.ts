import { describe, expect, test } from 'vitest'
import { Fault } from '../errors.ts'
import type { Limiter } from '../limit/limiter.ts'
import type { Method } from '../method.ts'
import { MemorySessionStore } from '../store/memory/session-store.ts'
import { arrivalOf, gateWith, limiterWith, now, principalWith, type Sent } from './arrival.fixture.ts'
import type { Gate } from './gate.ts'
import { mcp, mcpEnd, mcpStream, open } from './pipeline.ts'

const method: Method = {
  name: 'tools/call',
  audit: 'tool_access',
  needsSession: true,
  target: () => ({ requirement: { scope: 'write' }, name: 'save', check: () => ({ ok: false, issues: ['bad'] }) }),
  unknown: () => new Fault('tool.unknown'),
}
const methods = { stateless: new Map([['tools/call', method]]), stateful: new Map() }
const headers = {
  host: 'localhost:4000',
  origin: 'https://app.example',
  'x-api-key': 'good',
  'content-type': 'application/json',
  accept: 'application/json, text/event-stream',
  'mcp-protocol-version': '2026-07-28',
  'mcp-method': 'tools/call',
  'mcp-name': 'save',
}
const meta = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientCapabilities': {},
}
const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'save', _meta: meta } })
const readOnly: Gate['verify'] = (credential) =>
  credential === 'good'
    ? { ok: true, principal: principalWith(['read', 'write'], ['read']) }
    : { ok: false, reason: 'unknown', credential: undefined }

const spender = principalWith(['read', 'write'])

/** One more thing is wrong with a call in each row; the guard that stands first answers, whatever is wrong behind it. */
const wrong: readonly (readonly [string, Partial<Sent>, Partial<Gate>, string])[] = [
  ['arguments', {}, {}, 'arguments.invalid'],
  ['scope', {}, { verify: readOnly }, 'scope.missing'],
  ['headers of the revision', { headers: { 'mcp-method': 'tools/list' } }, {}, 'header.mismatch'],
  ['body', { body: 'no json' }, {}, 'body.malformed'],
  ['media type', { headers: { 'content-type': 'text/plain' } }, {}, 'media-type.refused'],
  ['limit', {}, { limiter: drained() }, 'rate.exceeded'],
  ['credential', { headers: { 'x-api-key': 'bad' } }, {}, 'credential.invalid'],
  ['load', {}, { refusing: () => 'server.draining' as const }, 'server.draining'],
  ['origin', { headers: { origin: 'null' } }, {}, 'origin.refused'],
  ['host', { headers: { host: 'evil.example' } }, {}, 'host.refused'],
  ['head', { url: 'http://localhost:4000/mcp' }, {}, 'target.refused'],
]

function drained(): Limiter {
  const limiter = limiterWith([{ callsMax: 1 }])
  void limiter.takeRefused(spender, 'mcp', now)
  return limiter
}

/** A call that is wrong in the first `count` ways. */
function callWith(count: number) {
  const rows = wrong.slice(0, count)
  const sent: Sent = Object.assign({ body }, ...rows.map(([, each]) => each), {
    headers: Object.assign({ ...headers }, ...rows.map(([, each]) => each.headers ?? {})),
  })
  const gate: Gate = Object.assign(gateWith({ methods }), ...rows.map(([, , each]) => each))
  return arrivalOf(sent, gate)
}

describe('the pipeline', () => {
  test('the doors stand in their order: of all that is wrong, the first is answered', async () => {
    for (const [at, [what, , , code]] of wrong.entries())
      await expect((async () => mcp.run(callWith(at + 1)))(), what).rejects.toMatchObject({ code })
  })

  test('TR-25: nothing of the body is read before it is known who sent it', async () => {
    for (const at of wrong.keys()) {
      const call = callWith(at + 1)
      await expect((async () => mcp.run(call))()).rejects.toBeInstanceOf(Fault)
      const known = wrong.findIndex(([what]) => what === 'media type')
      expect(call.bodyReads(), wrong[at]![0]).toBe(at < known ? 1 : 0)
    }
  })

  test('the open chain asks for no credential, and is behind the outer door', () => {
    const health = (change: object) =>
      open.run(arrivalOf({ verb: 'GET', url: '/health', headers: { host: 'localhost:4000', ...change } }))
    expect(health({})).toMatchObject({ requestId: 'r1', address: '192.0.2.1' })
    expect(() => health({ host: 'evil.example' })).toThrow(expect.objectContaining({ code: 'host.refused' }))
    expect(() => health({ origin: 'null' })).toThrow(expect.objectContaining({ code: 'origin.refused' }))
  })

  test('SE-02: GET and DELETE of a session ask for a credential and for the session', () => {
    const gate = gateWith({ sessions: new MemorySessionStore(1_000) })
    for (const [verb, guards] of [
      ['GET', mcpStream],
      ['DELETE', mcpEnd],
    ] as const) {
      const run = (change: object) =>
        guards.run(
          arrivalOf(
            { verb, headers: { ...headers, 'mcp-session-id': 'none', 'mcp-protocol-version': undefined, ...change } },
            gate,
          ),
        )
      expect(() => run({ 'x-api-key': undefined })).toThrow(expect.objectContaining({ code: 'credential.missing' }))
      expect(() => run({})).toThrow(expect.objectContaining({ code: 'session.unknown' }))
    }
  })
})
