import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Message } from '../call.ts'
import type { HeaderParam } from '../catalog/header-params.ts'
import type { Target } from '../method.ts'
import { encodeHeaderValue } from '../wire/header-value.ts'
import { arrivalOf, gateWith, type Sent } from './arrival.fixture.ts'
import { proved } from './chain.ts'
import { checkArguments, checkParamHeaders } from './check-arguments.ts'

const headerParams: readonly HeaderParam[] = [
  { header: 'mcp-param-region', path: ['region'], type: 'string' },
  { header: 'mcp-param-count', path: ['page', 'count'], type: 'integer' },
  { header: 'mcp-param-dry', path: ['dry'], type: 'boolean' },
]
const target: Target = { requirement: 'authenticated', headerParams }
const message = (args: unknown): Message => ({
  kind: 'request',
  id: 1,
  method: 'tools/call',
  params: { name: 't', arguments: args },
})
const check = (
  args: unknown,
  headers: NonNullable<Sent['headers']>,
  version = '2026-07-28',
  of: Target | 'none' = target,
) => {
  const gate = gateWith()
  const revision = version === '2026-07-28' ? gate.stateless : gate.stateful.get(version)!
  const client = { name: undefined, version: undefined, capabilities: {} }
  const envelope = { revision, client, progressToken: undefined, logLevel: undefined, trace: undefined }
  return checkParamHeaders({
    ...arrivalOf({ headers }, gate),
    message: message(args),
    envelope,
    method: undefined,
    target: of === 'none' ? undefined : of,
  })
}
const mismatch = (header: string) =>
  expect.objectContaining({ code: 'header.mismatch', detail: expect.objectContaining({ reason: header }) })

describe('checkParamHeaders (2026-07-28, "Server Behavior for Custom Headers")', () => {
  test('TR-17: a header that says what the argument says passes, for any value', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.maxSafeInteger(), fc.boolean(), (region, count, dry) => {
        const headers = {
          'mcp-param-region': encodeHeaderValue(region),
          'mcp-param-count': String(count),
          'mcp-param-dry': String(dry),
        }
        expect(check({ region, page: { count }, dry }, headers)).toBe(proved)
      }),
    )
    expect(check({ page: { count: 42 } }, { 'mcp-param-count': '42.0' })).toBe(proved)
    expect(check({}, {})).toBe(proved)
    expect(check({ region: null, page: { count: null } }, {})).toBe(proved)
  })

  test.each<[string, unknown, NonNullable<Sent['headers']>, string]>([
    ['missing where the argument is there', { region: 'eu' }, {}, 'mcp-param-region'],
    ['there where the argument is not', {}, { 'mcp-param-region': 'eu' }, 'mcp-param-region'],
    ['there where the argument is null', { region: null }, { 'mcp-param-region': 'null' }, 'mcp-param-region'],
    ['another value', { region: 'eu' }, { 'mcp-param-region': 'us' }, 'mcp-param-region'],
    ['another case', { region: 'eu' }, { 'mcp-param-region': 'EU' }, 'mcp-param-region'],
    ['loose Base64', { region: 'A' }, { 'mcp-param-region': '=?base64?QQ?=' }, 'mcp-param-region'],
    ['not ASCII', { region: 'é' }, { 'mcp-param-region': 'é' }, 'mcp-param-region'],
    ['a list of headers', { region: 'eu' }, { 'mcp-param-region': ['eu', 'eu'] }, 'mcp-param-region'],
    ['another number', { page: { count: 1 } }, { 'mcp-param-count': '2' }, 'mcp-param-count'],
    ['a number in another notation', { page: { count: 100 } }, { 'mcp-param-count': '1e2' }, 'mcp-param-count'],
    ['a number in hexadecimal', { page: { count: 16 } }, { 'mcp-param-count': '0x10' }, 'mcp-param-count'],
    ['a number with a plus', { page: { count: 1 } }, { 'mcp-param-count': '+1' }, 'mcp-param-count'],
    ['a number with spaces', { page: { count: 1 } }, { 'mcp-param-count': ' 1' }, 'mcp-param-count'],
    ['an empty number', { page: { count: 0 } }, { 'mcp-param-count': '' }, 'mcp-param-count'],
    ['a truth value in capitals', { dry: true }, { 'mcp-param-dry': 'True' }, 'mcp-param-dry'],
    ['a truth value as a number', { dry: true }, { 'mcp-param-dry': '1' }, 'mcp-param-dry'],
  ])('TR-17: a header that is %s is a mismatch', (_, args, headers, header) => {
    expect(() => check(args, headers)).toThrow(mismatch(header))
  })

  test('TR-16: a path reaches own properties only', () => {
    const reach = (path: readonly string[], args: unknown) =>
      check(args, {}, '2026-07-28', {
        requirement: 'authenticated',
        headerParams: [{ header: 'mcp-param-x', path, type: 'string' }],
      })
    expect(reach(['constructor', 'name'], {})).toBe(proved)
    expect(reach(['toString'], {})).toBe(proved)
    for (const args of [undefined, null, 'text', 7, ['x']]) expect(reach(['length'], args)).toBe(proved)
  })

  test('the stateful revisions mirror nothing, and neither does a call without marks', () => {
    expect(check({ region: 'eu' }, {}, '2025-11-25')).toBe(proved)
    expect(check({ region: 'eu' }, {}, '2026-07-28', { requirement: 'authenticated' })).toBe(proved)
    expect(check({ region: 'eu' }, {}, '2026-07-28', 'none')).toBe(proved)
  })
})

describe('checkArguments', () => {
  const run = (of: Target | undefined) => checkArguments({ message: message({ a: 1 }), method: undefined, target: of })

  test('the handler gets what the check answered, at once or later', async () => {
    expect(
      run({ requirement: 'authenticated', check: (params) => ({ ok: true, value: params['arguments'] }) }),
    ).toEqual({ input: { a: 1 } })
    expect(await run({ requirement: 'authenticated', check: async () => ({ ok: true, value: 7 }) })).toEqual({
      input: 7,
    })
    expect(run({ requirement: 'authenticated' })).toEqual({ input: undefined })
    expect(run(undefined)).toEqual({ input: undefined })
  })

  test('all issues are told at once', async () => {
    const issues = ['a: wrong', 'b: missing']
    const refusal = expect.objectContaining({
      code: 'arguments.invalid',
      detail: { says: 'a: wrong; b: missing', data: { issues } },
    })
    expect(() => run({ requirement: 'authenticated', check: () => ({ ok: false, issues }) })).toThrow(refusal)
    await expect(run({ requirement: 'authenticated', check: async () => ({ ok: false, issues }) })).rejects.toEqual(
      refusal,
    )
  })

  test('a check that breaks denies', async () => {
    const broken = () => {
      throw new Error('broken')
    }
    expect(() => run({ requirement: 'authenticated', check: broken })).toThrow('broken')
    await expect(run({ requirement: 'authenticated', check: async () => broken() })).rejects.toThrow('broken')
  })
})
