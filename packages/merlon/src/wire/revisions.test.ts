import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { logLevels, type Message, type Params } from '../call.ts'
import { type ErrorCode, errors, Fault } from '../errors.ts'
import { encodeHeaderValue } from './header-value.ts'
import { negotiate, statefulRevision, statefulVersions } from './revision-2025-11-25.ts'
import { type MirroredHeaders, readEnvelope, statelessRevision } from './revision-2026-07-28.ts'

const stateless = statelessRevision({ name: 's', version: '1' })
const meta = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientInfo': { name: 'c', version: '2' },
  'io.modelcontextprotocol/clientCapabilities': { sampling: {} },
}
const call = (params: Params = {}, method = 'tools/call'): Message => ({
  kind: 'request',
  id: 1,
  method,
  params: { name: 'echo', _meta: meta, ...params },
})
const headers = { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/call', 'mcp-name': 'echo' }
const read = (message: Message, given: MirroredHeaders = headers) => readEnvelope(message, given, stateless)
const withMeta = (change: Params) => call({ _meta: { ...meta, ...change } })
const refused = (code: ErrorCode, reason?: string) =>
  expect.objectContaining({ code, ...(reason === undefined ? {} : { detail: expect.objectContaining({ reason }) }) })

describe('the envelope of 2026-07-28 (Streamable HTTP, "Server Validation")', () => {
  test('headers that say what the body says are taken', () => {
    expect(read(call({ _meta: { ...meta, progressToken: 7 } }))).toEqual({
      revision: stateless,
      client: { name: 'c', version: '2', capabilities: { sampling: {} } },
      progressToken: 7,
      logLevel: undefined,
      trace: undefined,
    })
  })

  test.each<[string, Message, MirroredHeaders, string]>([
    ['no version header', call(), { ...headers, 'mcp-protocol-version': undefined }, 'MCP-Protocol-Version'],
    ['another version header', call(), { ...headers, 'mcp-protocol-version': '2025-11-25' }, 'MCP-Protocol-Version'],
    [
      'a version that is no text',
      withMeta({ 'io.modelcontextprotocol/protocolVersion': 1 }),
      headers,
      'MCP-Protocol-Version',
    ],
    ['no method header', call(), { ...headers, 'mcp-method': undefined }, 'Mcp-Method'],
    ['another method', call(), { ...headers, 'mcp-method': 'tools/list' }, 'Mcp-Method'],
    ['a method in capitals', call(), { ...headers, 'mcp-method': 'Tools/Call' }, 'Mcp-Method'],
    ['a method said twice', call(), { ...headers, 'mcp-method': ['tools/call', 'tools/call'] }, 'Mcp-Method'],
    ['no name header', call(), { ...headers, 'mcp-name': undefined }, 'Mcp-Name'],
    ['an empty name header', call(), { ...headers, 'mcp-name': '' }, 'Mcp-Name'],
    ['another name', call(), { ...headers, 'mcp-name': 'Echo' }, 'Mcp-Name'],
    ['a name said twice', call(), { ...headers, 'mcp-name': ['echo', 'echo'] }, 'Mcp-Name'],
    ['a name in loose Base64', call(), { ...headers, 'mcp-name': '=?base64?ZWNobw?=' }, 'Mcp-Name'],
    ['another name in Base64', call(), { ...headers, 'mcp-name': encodeHeaderValue('échö') }, 'Mcp-Name'],
    [
      'the Base64 form where the name is the literal text',
      call({ name: '=?base64?ZWNobw==?=' }),
      { ...headers, 'mcp-name': '=?base64?ZWNobw==?=' },
      'Mcp-Name',
    ],
    [
      'another prompt',
      call({}, 'prompts/get'),
      { ...headers, 'mcp-method': 'prompts/get', 'mcp-name': 'x' },
      'Mcp-Name',
    ],
    [
      'another resource',
      call({ uri: 'a://b' }, 'resources/read'),
      { ...headers, 'mcp-method': 'resources/read' },
      'Mcp-Name',
    ],
  ])('TR-17: %s is a mismatch', (_, message, given, header) => {
    expect(() => read(message, given)).toThrow(refused('header.mismatch', header))
  })

  test('TR-17: a name passes in either spelling of the header, for any name', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (name) => {
        expect(() => read(call({ name }), { ...headers, 'mcp-name': encodeHeaderValue(name) })).not.toThrow()
        const base64 = `=?base64?${Buffer.from(name).toString('base64')}?=`
        expect(() => read(call({ name }), { ...headers, 'mcp-name': base64 })).not.toThrow()
      }),
    )
  })

  test('a version that is not served is refused, and the served one named', () => {
    const other = withMeta({ 'io.modelcontextprotocol/protocolVersion': '2099-01-01' })
    expect(() => read(other, { ...headers, 'mcp-protocol-version': '2099-01-01' })).toThrow(
      expect.objectContaining({
        code: 'revision.unsupported',
        detail: { data: { supported: ['2026-07-28'], requested: '2099-01-01' } },
      }),
    )
    expect(() => read(call({ _meta: undefined }), { ...headers, 'mcp-protocol-version': undefined })).toThrow(
      refused('revision.unsupported'),
    )
  })

  test.each<[string, Message, ErrorCode]>([
    ['no _meta', call({ _meta: undefined }), 'meta.invalid'],
    ['a _meta that is a list', call({ _meta: [] }), 'meta.invalid'],
    ['no version in _meta', withMeta({ 'io.modelcontextprotocol/protocolVersion': undefined }), 'meta.invalid'],
    ['no capabilities', withMeta({ 'io.modelcontextprotocol/clientCapabilities': undefined }), 'meta.invalid'],
    ['capabilities that are a list', withMeta({ 'io.modelcontextprotocol/clientCapabilities': [] }), 'meta.invalid'],
    ['an unknown log level', withMeta({ 'io.modelcontextprotocol/logLevel': 'loud' }), 'params.invalid'],
    [
      'a log level that every object has',
      withMeta({ 'io.modelcontextprotocol/logLevel': 'toString' }),
      'params.invalid',
    ],
    ['a response', { kind: 'response', id: 1, result: {} }, 'request.invalid'],
  ])('%s is refused', (_, message, code) => {
    expect(() => read(message)).toThrow(refused(code))
  })

  test('client info is optional, and only short texts of it are kept', () => {
    const client = (info: unknown) => read(withMeta({ 'io.modelcontextprotocol/clientInfo': info })).client
    expect(client(undefined)).toMatchObject({ name: undefined, version: undefined })
    expect(client({ name: 'x'.repeat(257), version: 1 })).toMatchObject({ name: undefined, version: undefined })
    expect(client('x')).toMatchObject({ name: undefined, version: undefined })
  })

  test('every log level can be asked for', () => {
    for (const level of logLevels)
      expect(read(withMeta({ 'io.modelcontextprotocol/logLevel': level })).logLevel).toBe(level)
  })
})

describe('revisions', () => {
  test('initialize is answered with the client’s version where it is spoken, else with the newest', () => {
    for (const version of statefulVersions) expect(negotiate(version)).toBe(version)
    for (const other of ['2026-07-28', '1999-01-01', '', undefined, null, 20251125, {}, 'toString'])
      expect(negotiate(other)).toBe('2025-11-25')
  })

  test('a stateless result says that it is complete, who answered, and how long it may be kept', () => {
    expect(JSON.parse(stateless.result('"a":1', { ttlMs: 5, scope: 'private' }))).toEqual({
      a: 1,
      ttlMs: 5,
      cacheScope: 'private',
      resultType: 'complete',
      _meta: { 'io.modelcontextprotocol/serverInfo': { name: 's', version: '1' } },
    })
    expect(JSON.parse(stateless.result(''))).toMatchObject({ resultType: 'complete' })
    expect(statefulRevision('2025-11-25').result('"a":1', { ttlMs: 5, scope: 'private' })).toBe('{"a":1}')
    expect(statefulRevision('2025-11-25').result('')).toBe('{}')
  })

  test('only the newest stateful revision primes streams', () => {
    expect(statefulVersions.map((version) => statefulRevision(version).primesStreams)).toEqual([
      true,
      false,
      false,
      false,
    ])
  })

  test('in a stateful revision 404 means a lost session and nothing else', () => {
    const revision = statefulRevision('2025-06-18')
    const with404 = (Object.keys(errors) as ErrorCode[]).filter((code) => revision.status(new Fault(code)) === 404)
    // `entry.unknown` is the control plane's: no method of the protocol answers with it.
    expect(with404).toEqual(['route.unknown', 'session.unknown', 'entry.unknown'])
    expect(revision.rpcCode(new Fault('resource.unknown'))).toBe(-32002)
    expect(stateless.rpcCode(new Fault('resource.unknown'))).toBe(-32602)
    expect(stateless.status(new Fault('method.unknown'))).toBe(404)
  })
})
