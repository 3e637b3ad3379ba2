import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type AuditEntry, type AuditLog, encodeEntry, encodeMembers } from '../audit/audit-log.ts'
import { type ErrorCode, errors, Fault } from '../errors.ts'
import { anyText } from '../text.fixture.ts'
import type { Admitted } from './ready.ts'
import { recorder, refusalEntry } from './record.ts'
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
const kinds = new Map([
  ['tools/call', 'tool_access'],
  ['initialize', 'session'],
])

describe('the record of an admitted call', () => {
  test('says who did what, and nothing of the payload', () => {
    const { log, records } = auditOf()
    recorder(log, () => 107, kinds)(admitted(), undefined, 'completed')
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
    recorder(log, () => 100, kinds)(admitted(), new Fault(code, { reason: 'why', says: 'canary' }), 'failed')
    expect(records).toEqual([expect.objectContaining({ success, level, code: errors[code].code, reason: 'why' })])
    expect(JSON.stringify(records)).not.toContain('canary')
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
        recorder(log, () => 100, kinds)(call, new Fault('internal', { cause: 'canary' }), 'failed')
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
        ...change,
      },
      new Fault(code, { reason: 'why', says: 'canary', cause: 'canary', data: { canary: 1 } }),
    )

  test.each<[ErrorCode, object, string]>([
    ['credential.missing', {}, 'auth'],
    ['credential.invalid', {}, 'auth'],
    ['credential.doubled', {}, 'auth'],
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
