import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { arrivalOf, gateWith, type Sent } from './arrival.fixture.ts'
import { proved } from './chain.ts'
import { checkHead } from './check-head.ts'

const check = (sent: Sent, sessionHeader = 'mcp-session-id') => checkHead(arrivalOf(sent, gateWith({ sessionHeader })))
const refused = (code: string) => expect.objectContaining({ code })

/** The headers as `node:http` shows them: the first of some repeated lines, others joined. */
const sentLines = (lines: readonly (readonly [string, string])[]): Sent => {
  const headers: Record<string, string> = {}
  for (const [name, value] of lines) headers[name.toLowerCase()] ??= value
  return { headers, rawHeaders: lines.flat() }
}
const anyCase = (name: string) =>
  fc
    .array(fc.boolean(), { minLength: name.length, maxLength: name.length })
    .map((upper) => [...name].map((letter, at) => (upper[at] ? letter.toUpperCase() : letter)).join(''))

const once = [
  'host',
  'authorization',
  'x-api-key',
  'origin',
  'mcp-session-id',
  'last-event-id',
  'mcp-protocol-version',
  'mcp-method',
  'mcp-name',
  'mcp-param-region',
  'content-type',
  'content-length',
  'content-encoding',
  'accept',
  'cookie',
  'x-session',
]

describe('checkHead', () => {
  test('TR-06: a header that decides something is refused when it comes twice, in any case and any place', () => {
    const name = fc.constantFrom(...once)
    const other = fc.tuple(fc.constantFrom<string>('user-agent', 'x-forwarded-for', 'via', 'x-anything'), fc.string())
    fc.assert(
      fc.property(
        name.chain((each) => fc.tuple(anyCase(each), anyCase(each))),
        fc.string(),
        fc.string(),
        fc.array(other, { maxLength: 4 }),
        fc.nat(),
        fc.nat(),
        ([first, second], one, two, lines, here, there) => {
          const all = [...lines]
          all.splice(here % (all.length + 1), 0, [first, one])
          expect(check(sentLines(all), 'x-session')).toBe(proved)
          all.splice(there % (all.length + 1), 0, [second, two])
          expect(() => check(sentLines(all), 'x-session')).toThrow(refused('header.duplicated'))
        },
      ),
      { numRuns: 300 },
    )
  })

  test('a header that decides nothing may come twice', () => {
    expect(
      check(
        sentLines([
          ['Via', 'a'],
          ['via', 'b'],
          ['X-Forwarded-For', 'a'],
          ['x-forwarded-for', 'b'],
        ]),
      ),
    ).toBe(proved)
  })

  test('TR-05: more than a hundred lines are refused', () => {
    const lines = (count: number) => sentLines(Array.from({ length: count }, (_, at) => [`x-${at}`, ''] as const))
    expect(check(lines(100))).toBe(proved)
    expect(() => check(lines(101))).toThrow(refused('head.too-large'))
    // Lines of one name are lines too.
    expect(() => check(sentLines(Array.from({ length: 101 }, () => ['via', 'x'] as const)))).toThrow(
      refused('head.too-large'),
    )
  })

  test('RL-09: a target of more than 4 KiB is refused', () => {
    expect(check({ url: `/${'a'.repeat(4_095)}` })).toBe(proved)
    expect(() => check({ url: `/${'a'.repeat(4_096)}` })).toThrow(refused('uri.too-long'))
  })

  test('TR-07: a target that is not a plain path is refused', () => {
    for (const url of ['http://localhost:4000/mcp', 'https://x/', 'localhost:4000', '*', '', 'mcp', '\\mcp', ' /mcp'])
      expect(() => check({ url }), url).toThrow(refused('target.refused'))
  })

  test('TR-07: an upgrade is refused', () => {
    expect(() => check({ headers: { upgrade: 'websocket' } })).toThrow(refused('target.refused'))
  })
})
