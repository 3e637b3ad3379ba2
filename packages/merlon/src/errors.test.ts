import { describe, expect, test } from 'vitest'
import { type ErrorCode, errors, Fault, faultOf } from './errors.ts'

const table = Object.entries(errors)

/** Numbers that JSON-RPC 2.0 §5.1 and MCP (basic/index, "Error Codes") define. */
const defined = [-32_700, -32_600, -32_601, -32_602, -32_603, -32_020, -32_021, -32_022]

describe('the error table', () => {
  test('a JSON-RPC number is one that the protocol defines, or lies outside its band', () => {
    for (const [name, { rpc }] of table) {
      if (rpc >= -32_768 && rpc <= -32_000) expect(defined, name).toContain(rpc)
      else expect(rpc, name).toBeGreaterThan(0)
    }
  })

  test('a number of ours begins with its HTTP status, and belongs to one error', () => {
    const ours = table.filter(([, { rpc }]) => rpc > 0)
    for (const [name, { rpc, http }] of ours) {
      // 200: it happens after dispatch, and its number says what kind of refusal it would have been.
      if (http !== 200) expect(Math.floor(rpc / 100), name).toBe(http)
    }
    expect(new Set(ours.map(([, { rpc }]) => rpc)).size).toBe(ours.length)
  })

  test('the word a program switches on belongs to one error, but for two that mean the same', () => {
    const names = Map.groupBy(table, ([, { code }]) => code)
    const shared = [...names]
      .filter(([, rows]) => rows.length > 1)
      .map(([code, rows]) => [code, rows.map(([name]) => name)])
    expect(shared).toEqual([
      ['INVALID_REQUEST', ['request.invalid', 'credential.doubled']],
      ['INVALID_PARAMS', ['meta.invalid', 'params.invalid']],
    ])
    for (const code of names.keys()) expect(code).toMatch(/^[A-Z][A-Z_]*[A-Z]$/)
  })

  test('every error says what it is and what to do, in one line', () => {
    for (const [name, { says, fix }] of table) {
      expect(says, name).toMatch(/^[A-Z][ -~]{8,99}$/)
      expect(fix, name).toMatch(/^[A-Z][ -~]{8,99}\.$/)
    }
  })

  test('an outage of ours is never the caller’s mistake, and the caller’s mistake never a failure of ours', () => {
    for (const [name, { http, blame }] of table) {
      if (blame === 'server') expect(http, name).toBeGreaterThanOrEqual(500)
      // One of the caller's: it opened too many sessions.
      else if (name !== 'session.capacity') expect(http, name).toBeLessThan(500)
    }
  })

  test('what a client may try again by itself says so, and only that', () => {
    const again = table.filter(([, { retry }]) => retry).map(([name]) => name)
    expect(again).toEqual([
      'body.timeout',
      'session.capacity',
      'rate.exceeded',
      'capacity.exceeded',
      'store.unavailable',
      'audit.unavailable',
      'server.draining',
      'tool.timeout',
    ])
  })

  test('A1: the two answers about a credential are the promised ones, word for word', () => {
    expect(errors['credential.missing']).toMatchObject({ http: 401, code: 'MISSING_API_KEY', says: 'API key required' })
    expect(errors['credential.invalid']).toMatchObject({ http: 401, code: 'INVALID_API_KEY', says: 'Invalid API key' })
    const { sentence } = new Fault('scope.missing', { says: 'Required scope: write' })
    expect(sentence).toBe('Insufficient permissions. Required scope: write')
  })
})

describe('a Fault', () => {
  test('says the sentence of the table, and a detail after it', () => {
    expect(new Fault('params.invalid').sentence).toBe('Invalid params')
    expect(new Fault('params.invalid', { says: 'name is missing' }).sentence).toBe('Invalid params: name is missing')
    expect(new Fault('header.mismatch', { says: 'Mcp-Name differs.' }).sentence).toBe(
      'A request header does not match the body. Mcp-Name differs.',
    )
  })

  test('never says its reason or its cause', () => {
    for (const code of Object.keys(errors) as ErrorCode[]) {
      const fault = new Fault(code, { reason: 'canary-reason', cause: new Error('canary-cause') })
      expect(`${fault.sentence} ${fault.message} ${String(fault)}`).not.toContain('canary')
    }
  })

  test('carries no stack, and leaves the stacks of others alone', () => {
    expect(new Fault('internal').stack).not.toContain('\n')
    expect(new Error('x').stack).toContain('\n')
  })

  test('whatever else is thrown reads internal outside and keeps its cause inside', () => {
    const own = new Fault('rate.exceeded')
    expect(faultOf(own)).toBe(own)
    for (const thrown of [new Error('secret'), 'secret', undefined, null, { code: 'rate.exceeded' }]) {
      const fault = faultOf(thrown)
      expect(fault.code).toBe('internal')
      expect(fault.sentence).toBe('Internal error')
      expect(fault.detail.cause).toBe(thrown)
    }
  })
})
