import { createSecretKey } from 'node:crypto'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { argumentDigest } from '../audit/argument-digest.ts'
import { type AuditEntry, type AuditLog, encodeEntry, encodeMembers } from '../audit/audit-log.ts'
import { type ErrorCode, errors, Fault } from '../errors.ts'
import { anyText } from '../text.fixture.ts'
import type { MethodSeries } from '../watch/metrics.ts'
import type { Admitted } from './ready.ts'
import { type CallCounts, recorder, refusalEntry } from './record.ts'
import { alice, serverWith } from './server.fixture.ts'

function auditOf() {
  const records: AuditEntry[] = []
  const appendLine = (members: string) => void records.push(JSON.parse(`{${encodeMembers(members, 0)}}`))
  const log: AuditLog = {
    append: (entry) => appendLine(encodeEntry(entry)),
    appendLine,
    commit: async () => {},
    check() {},
    close: async () => {},
  }
  return { log, records }
}
const { services } = serverWith([])
const admitted = (change: Partial<Admitted> = {}): Admitted => ({
  requestId: 'r1',
  startedAt: 100,
  address: '192.0.2.1',
  principal: alice,
  message: {
    kind: 'request',
    id: 1,
    method: 'tools/call',
    params: { name: 'save', arguments: { password: 'canary' } },
  },
  envelope: {
    revision: services.revisions.stateless,
    client: { name: 'canary', version: undefined, capabilities: {} },
    progressToken: undefined,
    logLevel: undefined,
    trace: undefined,
  },
  session: undefined,
  target: { requirement: { scope: 'write' }, name: 'save' },
  input: { password: 'canary' },
  ...change,
})
const series = (method: string): MethodSeries => ({
  method,
  calls: { completed: 0, input_required: 0, accepted: 0, failed: 0, cancelled: 0 },
  refused: 0,
  allowed: 0,
  denied: 0,
})
const kinds = new Map([
  ['tools/call', { audit: 'tool_access', series: series('tools/call') }],
  ['initialize', { audit: 'session', series: series('initialize') }],
])
const others = { audit: 'access', series: series('other') }
const counted: unknown[] = []
const counts: CallCounts = { called: ({ method }, ...rest) => void counted.push([method, ...rest]) }
const recorderOf = (log: AuditLog, clock: () => number) => recorder(log, clock, kinds, others, counts)

describe('the record of an admitted call', () => {
  test('says who did what, and nothing of the payload', () => {
    const { log, records } = auditOf()
    recorderOf(log, () => 107)(admitted(), undefined, 'completed')
    expect(records).toEqual([
      {
        timestamp: '1970-01-01T00:00:00.000Z',
        level: 'info',
        type: 'tool_access',
        success: true,
        clientId: 'key_alice',
        principal: 'alice',
        tenant: 't1',
        ip: '192.0.2.1',
        requestId: 'r1',
        method: 'tools/call',
        tool: 'save',
        scope: 'write',
        outcome: 'completed',
        durationMs: 7,
      },
    ])
  })

  test('AL-01: tells the arguments of a tool by a keyed digest, where that is wanted, whatever their order', () => {
    const { log, records } = auditOf()
    const digest = argumentDigest(createSecretKey(Buffer.alloc(32, 7)))
    const run = recorder(log, () => 107, kinds, others, counts, digest)
    const told = (args: unknown) => {
      const params = args === undefined ? { name: 'save' } : { name: 'save', arguments: args }
      run(admitted({ message: { kind: 'request', id: 1, method: 'tools/call', params } }), undefined, 'completed')
      const { argumentBytes, argumentDigest: text } = records.at(-1) as unknown as Record<string, unknown>
      return [argumentBytes, text]
    }
    expect(told({ a: 'canary', b: [1] })).toEqual([22, 'pUNHNhkKbom8bAjwutap9VaqLmwfBoQEQ4i4u77Va8A'])
    expect(told({ b: [1], a: 'canary' })).toEqual(told({ a: 'canary', b: [1] }))
    expect(told({ a: 'canary', b: [2] })).not.toEqual(told({ a: 'canary', b: [1] }))
    expect(told(undefined)).toEqual(told({}))
    expect(JSON.stringify(records)).not.toContain('canary')
  })

  test.each<[ErrorCode, boolean, string]>([
    ['state.invalid', false, 'warn'],
    ['cursor.invalid', false, 'warn'],
    ['session.capacity', false, 'warn'],
    ['credential.invalid', false, 'warn'],
    ['tool.timeout', false, 'error'],
    ['internal', false, 'error'],
    ['call.cancelled', true, 'info'],
  ])('is of a success only where nothing but the caller ended it: %s', (code, success, level) => {
    const { log, records } = auditOf()
    recorderOf(log, () => 100)(admitted(), new Fault(code, { reason: 'why', says: 'canary' }), 'failed')
    expect(records).toEqual([expect.objectContaining({ success, level, code: errors[code].code, reason: 'why' })])
    expect(JSON.stringify(records)).not.toContain('canary')
  })

  test('AL-09: names the trace that the caller says it belongs to', () => {
    const { log, records } = auditOf()
    const trace = { traceId: 'a'.repeat(32), traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01` }
    const { envelope } = admitted()
    recorderOf(log, () => 100)(admitted({ envelope: { ...envelope, trace } }), undefined, 'completed')
    expect(records).toEqual([expect.objectContaining({ traceId: 'a'.repeat(32), outcome: 'completed' })])
  })

  test('is counted once, under its method, and under its tool where it is a call of one', () => {
    counted.length = 0
    const fault = new Fault('tool.timeout')
    const run = recorderOf(auditOf().log, () => 107)
    run(admitted(), fault, 'failed')
    run(admitted({ message: { kind: 'request', id: 1, method: 'initialize', params: {} } }), undefined, 'completed')
    run(admitted({ message: { kind: 'notification', method: 'made/up', params: {} } }), undefined, 'accepted')
    expect(counted).toEqual([
      ['tools/call', 'failed', 7, 'save', 't1', fault],
      ['initialize', 'completed', 7, undefined, 't1', undefined],
      ['other', 'accepted', 7, undefined, 't1', undefined],
    ])
  })

  test('is one well-formed line, whatever the names in it', () => {
    fc.assert(
      fc.property(anyText(), anyText(), fc.string(), (name, method, id) => {
        const { log, records } = auditOf()
        const call = admitted({
          principal: { ...alice, id, credential: name },
          message: { kind: 'notification', method, params: {} },
          target: { requirement: 'authenticated', name },
        })
        recorderOf(log, () => 100)(call, new Fault('internal', { cause: 'canary' }), 'failed')
        expect(records).toHaveLength(1)
        expect(JSON.stringify(records)).not.toContain('canary')
        expect(records[0]).toMatchObject({ code: 'INTERNAL_ERROR', outcome: 'failed', durationMs: 0 })
      }),
    )
  })
})

describe('the record of a refusal', () => {
  const refused = (code: ErrorCode, change: object = {}) =>
    refusalEntry(
      {
        requestId: 'r1',
        address: '192.0.2.1',
        principal: undefined,
        method: undefined,
        target: undefined,
        credential: undefined,
        traceId: undefined,
        ...change,
      },
      new Fault(code, { reason: 'why', says: 'canary', cause: 'canary', data: { canary: 1 } }),
    )

  test.each<[ErrorCode, object, string]>([
    ['credential.missing', {}, 'auth'],
    ['credential.invalid', {}, 'auth'],
    ['credential.doubled', {}, 'auth'],
    ['login.refused', {}, 'auth'],
    ['rate.exceeded', {}, 'rate_limit'],
    ['rate.exceeded', { principal: alice }, 'rate_limit'],
    ['session.unknown', { principal: alice }, 'session_violation'],
    ['stream.taken', { principal: alice }, 'session_violation'],
    ['host.refused', {}, 'edge'],
    ['scope.missing', { principal: alice, method: 'tools/call' }, 'tool_access'],
    ['scope.missing', { principal: alice, method: 'resources/read' }, 'access'],
  ])('A12: %s of %o is of type %s', (code, change, type) => {
    expect(refused(code, change)).toMatchObject({
      type,
      success: false,
      level: 'warn',
      code: errors[code].code,
      reason: 'why',
    })
  })

  test('names who was refused, and nothing that the caller sent or that went wrong inside', () => {
    const entry = refused('scope.missing', { principal: alice, method: 'tools/call', target: 'save' })
    expect(entry).toMatchObject({ clientId: 'key_alice', principal: 'alice', tenant: 't1', tool: 'save' })
    expect(JSON.stringify(entry)).not.toContain('canary')
  })

  test('a failure of ours is an error', () => {
    for (const code of ['internal', 'store.unavailable', 'audit.unavailable', 'server.draining'] as const)
      expect(refused(code)).toMatchObject({ level: 'error' })
  })
})
