import { describe, expect, test } from 'vitest'
import type { Message, Params } from '../call.ts'
import { MemorySessionStore } from '../store/memory/session-store.ts'
import { arrivalOf, gateWith, type Sent } from './arrival.fixture.ts'
import { decode, readBody, settleRevision } from './decode.ts'

const gate = gateWith({ sessions: new MemorySessionStore(1_000) })
const settle = (message: Message, headers: Sent['headers'] = {}, by = gate) =>
  settleRevision({ ...arrivalOf({ headers }, by), message })
const request = (method: string, params: Params = {}): Message => ({ kind: 'request', id: 1, method, params })
const meta = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientCapabilities': {},
}
const version = (settled: ReturnType<typeof settle>) =>
  (settled as { envelope: { revision: { version: string } } }).envelope.revision.version
const refused = (code: string) => expect.objectContaining({ code })

describe('decode', () => {
  test('reads the body up to the bound, and makes one message of it', async () => {
    const call = arrivalOf({ body: '{"jsonrpc":"2.0","id":1,"method":"ping"}' })
    const { body } = await readBody(call)
    expect(call.bodyReads()).toBe(1)
    // The bytes are let go of, but that they were read is still known.
    expect(decode({ ...call, body })).toEqual({ message: request('ping'), body: Buffer.alloc(0) })
  })

  test('holds the body to the bounds of the gate', () => {
    const body = Buffer.from('{"jsonrpc":"2.0","id":1,"method":"x","params":{"a":[[[[]]]]}}')
    const narrow = arrivalOf({}, gateWith({ bounds: { depthMax: 4, nodesMax: 100 } }))
    expect(() => decode({ ...narrow, body })).toThrow(refused('request.invalid'))
  })
})

describe('settleRevision', () => {
  test('a request that names the stateless revision anywhere is held to all of it', () => {
    const whole = { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/list' }
    expect(version(settle(request('tools/list', { _meta: meta }), whole))).toBe('2026-07-28')
    // TR-19: in the header alone, or in the body alone, it is not the other era with less checking.
    expect(() => settle(request('tools/list'), whole)).toThrow(refused('meta.invalid'))
    expect(() => settle(request('tools/list', { _meta: meta }))).toThrow(refused('header.mismatch'))
    expect(() => settle(request('initialize', { _meta: meta }), { 'mcp-protocol-version': '2025-11-25' })).toThrow(
      refused('header.mismatch'),
    )
  })

  test('TR-20: a body that claims a stateful version is refused too: those claim none', () => {
    const old = { ...meta, 'io.modelcontextprotocol/protocolVersion': '2025-11-25' }
    expect(() => settle(request('tools/list', { _meta: old }), { 'mcp-protocol-version': '2025-11-25' })).toThrow(
      refused('revision.unsupported'),
    )
    expect(() =>
      settle(request('tools/list', { _meta: { ...meta, 'io.modelcontextprotocol/protocolVersion': null } })),
    ).toThrow(refused('header.mismatch'))
  })

  test('initialize settles on the version it asks for, or the newest', () => {
    expect(version(settle(request('initialize', { protocolVersion: '2024-11-05' })))).toBe('2024-11-05')
    expect(version(settle(request('initialize', { protocolVersion: '1999-01-01' })))).toBe('2025-11-25')
    expect(version(settle(request('initialize')))).toBe('2025-11-25')
  })

  test('another request speaks the version of its header, if it is one of ours', () => {
    expect(version(settle(request('ping'), { 'mcp-protocol-version': '2025-06-18' }))).toBe('2025-06-18')
    expect(version(settle(request('ping')))).toBe('2025-11-25')
    for (const named of ['1999-01-01', '', 'constructor', '2025-11-25, 2025-11-25'])
      expect(() => settle(request('ping'), { 'mcp-protocol-version': named })).toThrow(
        expect.objectContaining({
          code: 'revision.unsupported',
          detail: {
            data: {
              supported: ['2026-07-28', '2025-11-25', '2025-06-18', '2025-03-26', '2024-11-05'],
              requested: named,
            },
          },
        }),
      )
  })

  test('where no sessions are served every request is held to the stateless revision', () => {
    expect(() => settle(request('initialize', { protocolVersion: '2025-11-25' }), {}, gateWith())).toThrow(
      refused('revision.unsupported'),
    )
  })

  test('AL-09: the trace of a request is that of its _meta, or of its header, in every revision; a bad one refuses nothing', () => {
    const traceparent = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`
    const whole = { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/list' }
    const trace = (params: Params, headers: Sent['headers'] = {}) =>
      (settle(request('tools/list', params), headers) as { envelope: { trace?: unknown } }).envelope.trace
    const expected = { traceId: 'a'.repeat(32), traceparent }
    expect(trace({ _meta: { ...meta, traceparent } }, whole)).toEqual(expected)
    expect(trace({ _meta: meta }, { ...whole, traceparent })).toEqual(expected)
    expect(trace({ _meta: { traceparent } })).toEqual(expected)
    expect(trace({}, { traceparent, tracestate: 'a=1' })).toEqual({ ...expected, tracestate: 'a=1' })
    expect(trace({ _meta: { traceparent: 'x' } }, { traceparent })).toBeUndefined()
    expect(trace({}, { traceparent: 'x' })).toBeUndefined()
    expect(trace({})).toBeUndefined()
  })

  test('what the client says of itself is taken from initialize', () => {
    const params = {
      protocolVersion: '2025-11-25',
      clientInfo: { name: 'c', version: '1' },
      capabilities: { roots: {} },
    }
    expect(settle(request('initialize', params))).toMatchObject({
      envelope: { client: { name: 'c', version: '1', capabilities: { roots: {} } }, logLevel: undefined },
    })
  })
})
