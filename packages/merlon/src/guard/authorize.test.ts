import { describe, expect, test } from 'vitest'
import type { Message, Principal } from '../call.ts'
import { Fault } from '../errors.ts'
import type { Method } from '../method.ts'
import { refusalBody } from '../transport/refuse.ts'
import { arrivalOf, gateWith, principalWith } from './arrival.fixture.ts'
import { authorize, authorizeSession } from './authorize.ts'
import { proved } from './chain.ts'

const tools = new Map([
  ['status', { requirement: { scope: 'admin' }, name: 'status' } as const],
  ['save', { requirement: { scope: 'write' }, name: 'save' } as const],
])
const toolsCall: Method = {
  name: 'tools/call',
  audit: 'tool_access',
  needsSession: true,
  target: ({ name }) => {
    if (typeof name !== 'string') throw new Fault('params.invalid')
    return tools.get(name)
  },
  unknown: () => new Fault('tool.unknown'),
}
const ping: Method = {
  name: 'ping',
  audit: 'access',
  needsSession: false,
  target: () => ({ requirement: 'authenticated' }),
  unknown: () => new Fault('method.unknown'),
}
const methods = new Map([toolsCall, ping].map((method) => [method.name, method]))
const gate = gateWith({ methods: { stateless: methods, stateful: new Map() } })
const envelope = {
  revision: gate.stateless,
  client: { name: undefined, version: undefined, capabilities: {} },
  progressToken: undefined,
  logLevel: undefined,
  trace: undefined,
}
const request = (method: string, params = {}): Message => ({ kind: 'request', id: 1, method, params })
const ask = (message: Message, principal: Principal, revision = gate.stateless) =>
  authorize({ ...arrivalOf({}, gate), principal, message, envelope: { ...envelope, revision } })
const callTool = (name: unknown, principal: Principal) => ask(request('tools/call', { name }), principal)

const writer = principalWith(['read', 'write'])

describe('authorize', () => {
  test('finds what is called and lets pass who has its scope', () => {
    expect(callTool('save', writer)).toEqual({ method: toolsCall, target: tools.get('save') })
    expect(callTool('status', principalWith(['admin']))).toMatchObject({ target: { name: 'status' } })
  })

  test('AU-03: what the role never reaches is answered byte for byte like what does not exist', () => {
    const body = (name: string) => {
      try {
        callTool(name, writer)
      } catch (thrown) {
        return refusalBody(thrown as Fault, request('tools/call', { name }), envelope, 'r1')
      }
      return undefined
    }
    const absent = body('no-such-tool')
    expect(absent).toContain('UNKNOWN_TOOL')
    for (const name of ['status', 'constructor', '__proto__', '']) expect(body(name)).toBe(absent)
  })

  test('AL-01: the record says that it was hidden, and what was reached for', () => {
    expect(() => callTool('status', writer)).toThrow(
      expect.objectContaining({ code: 'tool.unknown', detail: { reason: 'hidden', target: 'status' } }),
    )
    expect(() => callTool('no-such-tool', writer)).toThrow(expect.objectContaining({ detail: {} }))
  })

  test('A2: what only the credential lacks is named', () => {
    expect(() => callTool('save', principalWith(['read', 'write'], ['read']))).toThrow(
      expect.objectContaining({
        code: 'scope.missing',
        sentence: 'Insufficient permissions. Required scope: write',
        detail: expect.objectContaining({ scope: 'write', data: { scope: 'write' } }),
      }),
    )
  })

  test('AU-01: a credential without any scope may do nothing, not even ping', () => {
    const powerless = principalWith(['read', 'write'], [])
    for (const message of [request('ping'), request('tools/call', { name: 'save' }), request('tools/call', {})])
      expect(() => ask(message, powerless)).toThrow(expect.objectContaining({ code: 'scope.missing' }))
    const notification: Message = { kind: 'notification', method: 'notifications/initialized', params: {} }
    expect(() => ask(notification, powerless)).toThrow(expect.objectContaining({ code: 'scope.missing' }))
    expect(() => ask({ kind: 'response', id: 1, result: {} }, powerless)).toThrow(
      expect.objectContaining({ code: 'scope.missing' }),
    )
    expect(() => authorizeSession({ principal: powerless })).toThrow(expect.objectContaining({ code: 'scope.missing' }))
    expect(authorizeSession({ principal: writer })).toBe(proved)
  })

  test('a method that is not in the revision does not exist, whatever it is called', () => {
    for (const method of ['tools/nope', 'Tools/Call', 'constructor', '__proto__', ''])
      expect(() => ask(request(method), writer)).toThrow(expect.objectContaining({ code: 'method.unknown' }))
    const stateful = gate.stateful.get('2025-11-25')!
    expect(() => ask(request('ping'), writer, stateful)).toThrow(expect.objectContaining({ code: 'method.unknown' }))
    expect(ask(request('ping'), writer)).toMatchObject({ method: ping })
  })

  test('parameters that make no sense are refused as such', () => {
    expect(() => callTool(7, writer)).toThrow(expect.objectContaining({ code: 'params.invalid' }))
  })

  test('a notification or response is about nothing that could be refused', () => {
    expect(ask({ kind: 'response', id: 1, result: {} }, writer)).toEqual({ method: undefined, target: undefined })
  })
})
