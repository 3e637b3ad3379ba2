import { describe, expect, test } from 'vitest'
import type { Message } from '../call.ts'
import { type ErrorCode, errors, Fault, type FaultDetail } from '../errors.ts'
import type { Envelope } from '../wire/revision.ts'
import { statefulRevision } from '../wire/revision-2025-11-25.ts'
import { statelessRevision } from '../wire/revision-2026-07-28.ts'
import { refusalBody } from './refuse.ts'

const client = { name: undefined, version: undefined, capabilities: {} }
const envelopeOf = (revision: Envelope['revision']): Envelope => ({
  revision,
  client,
  progressToken: undefined,
  logLevel: undefined,
  trace: undefined,
})
const stateful = envelopeOf(statefulRevision('2025-11-25'))
const stateless = envelopeOf(statelessRevision({ name: 's', version: '1' }))
const request = (id: string | number, method = 'tools/list'): Message => ({ kind: 'request', id, method, params: {} })
const codes = Object.keys(errors) as ErrorCode[]

describe('the body of a refusal', () => {
  test('SE-10: is the same for a session, event or stream that is unknown, ended, expired or somebody else’s', () => {
    const why: FaultDetail[] = [
      { reason: 'session' },
      { reason: 'event-id' },
      { reason: 'withheld' },
      { reason: 'ended', cause: new Error('x') },
    ]
    const bodies = (message: Message | undefined, envelope: Envelope | undefined) =>
      new Set(why.map((detail, at) => refusalBody(new Fault('session.unknown', detail), message, envelope, `r${at}`)))
    expect([...bodies(undefined, undefined)]).toEqual([
      '{"error":"There is no such session or event.","code":"SESSION_NOT_FOUND"}',
    ])
    expect([...bodies(request(7), stateful)]).toEqual([
      '{"jsonrpc":"2.0","id":7,"error":{"code":40402,"message":"There is no such session or event.","data":{"code":"SESSION_NOT_FOUND"}}}',
    ])
  })

  test('A1: is the same for every credential that is not good', () => {
    const why: FaultDetail[] = ['unknown', 'expired', 'revoked', 'malformed', 'length'].map((reason) => ({
      reason,
      credential: 'key_1',
    }))
    expect([
      ...new Set(
        why.map((detail, at) => refusalBody(new Fault('credential.invalid', detail), undefined, undefined, `r${at}`)),
      ),
    ]).toEqual(['{"error":"Invalid API key","code":"INVALID_API_KEY"}'])
    expect(refusalBody(new Fault('credential.missing'), undefined, undefined, 'r1')).toBe(
      '{"error":"API key required","code":"MISSING_API_KEY"}',
    )
  })

  test('never holds a reason, a cause or a credential, whatever was refused and when', () => {
    for (const code of codes) {
      const fault = new Fault(code, {
        reason: 'canary',
        cause: new Error('canary'),
        credential: 'canary',
        target: 'canary',
      })
      for (const [message, envelope] of [
        [undefined, undefined],
        [request(1), stateful],
        [request(1), stateless],
        [request(1, 'tools/call'), stateless],
      ] as const)
        expect(refusalBody(fault, message, envelope, 'r1'), code).not.toContain('canary')
    }
  })

  test('names the request to which it belongs, and only a failure of ours the id that we gave it', () => {
    for (const code of codes) {
      const body = JSON.parse(refusalBody(new Fault(code), request('mine'), stateless, 'r1'))
      expect(body).toMatchObject({ jsonrpc: '2.0', id: 'mine' })
      expect(JSON.stringify(body).includes('r1'), code).toBe(code === 'internal')
    }
    expect(JSON.parse(refusalBody(new Fault('internal'), undefined, undefined, 'r1'))).toEqual({
      error: 'Internal error',
      code: 'INTERNAL_ERROR',
      requestId: 'r1',
    })
  })

  test('of bytes that are no message is an error without an id', () => {
    for (const [code, rpc] of [
      ['body.malformed', -32700],
      ['request.invalid', -32600],
    ] as const)
      expect(JSON.parse(refusalBody(new Fault(code), undefined, undefined, 'r1'))).toEqual({
        jsonrpc: '2.0',
        error: { code: rpc, message: errors[code].says, data: { code: errors[code].code } },
      })
  })

  test('of a notification or a response is an error without an id', () => {
    for (const message of [
      { kind: 'notification', method: 'x', params: {} },
      { kind: 'response', id: 7, result: {} },
    ] as const)
      expect(JSON.parse(refusalBody(new Fault('session.unknown'), message, stateful, 'r1'))).not.toHaveProperty('id')
  })

  test('of wrong arguments of a tool is a result that the model can learn from', () => {
    const fault = new Fault('arguments.invalid', { says: 'a: missing' })
    expect(JSON.parse(refusalBody(fault, request(1, 'tools/call'), stateful, 'r1'))).toEqual({
      jsonrpc: '2.0',
      id: 1,
      result: {
        content: [{ type: 'text', text: 'The arguments do not fit the input schema. a: missing' }],
        isError: true,
      },
    })
    expect(JSON.parse(refusalBody(fault, request(1, 'prompts/get'), stateful, 'r1'))).toHaveProperty('error')
  })
})
