import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Message, Params, RequestId } from '../call.ts'
import { Fault } from '../errors.ts'
import { anyText } from '../text.fixture.ts'
import { parseJson } from './json.ts'
import { encodeError, encodeNotification, encodeRequest, encodeResult, parseMessage } from './json-rpc.ts'

const bounds = { depthMax: 64, nodesMax: 100_000 }
const decode = (text: string): Message => parseMessage(parseJson(Buffer.from(text), bounds))

const id: fc.Arbitrary<RequestId> = fc.oneof(anyText({ maxLength: 256 }), fc.maxSafeInteger())
const method = fc.string({ minLength: 1, maxLength: 128 })
/** Objects that survive JSON as they are; `__proto__` is refused by the reader and has a test of its own. */
const params: fc.Arbitrary<Params> = fc
  .dictionary(fc.string(), fc.jsonValue({ maxDepth: 4 }), { maxKeys: 5 })
  .map((value) => JSON.parse(JSON.stringify(value)) as Params)
  .filter((value) => !JSON.stringify(value).includes('__proto__'))

describe('JSON-RPC messages', () => {
  test('a request, notification, result or error that was encoded decodes to the same', () => {
    fc.assert(
      fc.property(id, method, params, fc.maxSafeInteger(), fc.string(), (someId, name, body, code, message) => {
        // JSON knows one zero.
        const sameId = someId === 0 ? 0 : someId
        expect(decode(encodeRequest(someId, name, body))).toEqual({
          kind: 'request',
          id: sameId,
          method: name,
          params: body,
        })
        expect(decode(encodeRequest(someId, name, undefined))).toEqual({
          kind: 'request',
          id: sameId,
          method: name,
          params: {},
        })
        expect(decode(encodeNotification(name, body))).toEqual({ kind: 'notification', method: name, params: body })
        const result = encodeResult(someId, JSON.stringify(body))
        expect(decode(result)).toEqual({ kind: 'response', id: sameId, result: body })
        const error = { code: code === 0 ? 0 : code, message, data: body }
        expect(decode(encodeError(someId, error))).toEqual({ kind: 'response', id: sameId, error })
      }),
      { numRuns: 200 },
    )
  })

  test('any JSON value is a message or a Fault', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.jsonValue(),
          fc.record(
            {
              jsonrpc: fc.constantFrom<unknown>('2.0', '1.0', 2),
              id: fc.oneof(fc.jsonValue(), fc.constant(1)),
              method: fc.oneof(fc.jsonValue(), fc.constant('ping')),
              params: fc.jsonValue(),
              result: fc.jsonValue(),
              error: fc.jsonValue(),
            },
            { requiredKeys: ['jsonrpc'] },
          ),
        ),
        (value) => {
          try {
            expect(['request', 'notification', 'response']).toContain(parseMessage(value).kind)
          } catch (thrown) {
            expect(thrown).toBeInstanceOf(Fault)
            expect(thrown).toMatchObject({ code: 'request.invalid' })
          }
        },
      ),
      { numRuns: 500 },
    )
  })

  const base = { jsonrpc: '2.0', id: 1, method: 'ping' }
  test.each<[string, unknown, string]>([
    ['no object', 'ping', 'envelope'],
    ['null', null, 'envelope'],
    ['TR-13: a batch', [base], 'envelope'],
    ['TR-13: an empty batch', [], 'envelope'],
    ['no version', { id: 1, method: 'ping' }, 'envelope'],
    ['another version', { ...base, jsonrpc: '1.0' }, 'envelope'],
    ['a version that is a number', { ...base, jsonrpc: 2 }, 'envelope'],
    ['TR-14: a key in capitals', { ...base, Params: {} }, 'unknown-key'],
    ['an unknown key', { ...base, extra: 1 }, 'unknown-key'],
    ['a request that is also a response', { ...base, result: {} }, 'unknown-key'],
    ['a method that is null', { ...base, method: null }, 'method'],
    ['a method that is empty', { ...base, method: '' }, 'method'],
    ['a method that is too long', { ...base, method: 'm'.repeat(129) }, 'method'],
    ['params that are a list', { ...base, params: [] }, 'params'],
    ['params that are null', { ...base, params: null }, 'params'],
    ['params that are a text', { ...base, params: 'x' }, 'params'],
    ['TR-15: an id that is null', { ...base, id: null }, 'id'],
    ['TR-15: an id with a fraction', { ...base, id: 1.5 }, 'id'],
    ['TR-15: an id beyond 2^53 - 1', { ...base, id: 9_007_199_254_740_992 }, 'id'],
    ['TR-15: an id that is a truth value', { ...base, id: true }, 'id'],
    ['TR-15: an id that is an object', { ...base, id: {} }, 'id'],
    ['TR-15: an id that is too long', { ...base, id: 'x'.repeat(257) }, 'id'],
    ['a response without an id', { jsonrpc: '2.0', result: {} }, 'id'],
    ['a response whose id is null', { jsonrpc: '2.0', id: null, error: { code: 1, message: '' } }, 'id'],
    ['a response without anything', { jsonrpc: '2.0', id: 1 }, 'response'],
    ['a response with both', { jsonrpc: '2.0', id: 1, result: {}, error: { code: 1, message: '' } }, 'response'],
    ['a result and an error that is null', { jsonrpc: '2.0', id: 1, result: {}, error: null }, 'response'],
    ['a result that is a list', { jsonrpc: '2.0', id: 1, result: [] }, 'response'],
    ['an error without a number', { jsonrpc: '2.0', id: 1, error: { message: 'x' } }, 'response'],
    ['an error with a fraction', { jsonrpc: '2.0', id: 1, error: { code: 1.5, message: 'x' } }, 'response'],
    ['an error without a message', { jsonrpc: '2.0', id: 1, error: { code: 1 } }, 'response'],
    ['a response with an unknown key', { jsonrpc: '2.0', id: 1, result: {}, extra: 1 }, 'unknown-key'],
  ])('%s is refused', (_, value, reason) => {
    expect(() => parseMessage(value)).toThrow(expect.objectContaining({ code: 'request.invalid', detail: { reason } }))
  })

  test('ids at the edge of what is allowed are taken', () => {
    for (const edge of [0, -1, 9_007_199_254_740_991, -9_007_199_254_740_991, '', 'x'.repeat(256)])
      expect(parseMessage({ ...base, id: edge })).toMatchObject({ id: edge })
    expect(parseMessage({ ...base, method: 'm'.repeat(128) })).toMatchObject({ kind: 'request' })
  })

  test('an answer to a request whose id could not be read carries none', () => {
    expect(encodeError(undefined, { code: -32700, message: 'x' })).toBe(
      '{"jsonrpc":"2.0","error":{"code":-32700,"message":"x"}}',
    )
  })
})
