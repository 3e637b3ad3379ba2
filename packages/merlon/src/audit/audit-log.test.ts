import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { anyText } from '../text.fixture.ts'
import { type AuditEntry, auditText, encodeEntry, encodeMembers } from './audit-log.ts'

const at = Date.UTC(2026, 6, 28, 12, 0, 0, 7)
const hostile = fc.oneof(
  anyText(),
  // Lone surrogates too.
  fc.array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 30 }).map((units) => String.fromCharCode(...units)),
  fc.constantFrom('\u001b[31mred', 'a\r\nb', '"},{"type":"auth"', '\u202egpj.exe', '\u061c', '\u2028', '\ud800', '\\'),
)
const entry: fc.Arbitrary<AuditEntry> = fc.record(
  {
    type: fc.constantFrom('auth' as const, 'tool_access' as const),
    success: fc.boolean(),
    level: fc.constantFrom('info' as const, 'warn' as const),
    ip: hostile,
    clientId: hostile,
    tool: fc.option(hostile, { nil: undefined }),
    reason: hostile,
    durationMs: fc.nat(),
  },
  { requiredKeys: ['type', 'success', 'level'] },
)

/** What a terminal, a pager or a reader of lines could take for something other than text. */
const unsafe = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/

describe('an audit record', () => {
  test('is one line of well-formed JSON, whatever the texts in it', () => {
    fc.assert(
      fc.property(entry, (given) => {
        const line = `{${encodeMembers(encodeEntry(given), at)}}`
        expect(line).not.toMatch(unsafe)
        expect(line.isWellFormed()).toBe(true)
        const kept = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))
        expect(JSON.parse(line)).toEqual({ timestamp: '2026-07-28T12:00:00.007Z', ...kept })
      }),
      { numRuns: 300 },
    )
  })

  test('leaves every character readable: the text is the same after decoding', () => {
    fc.assert(
      fc.property(hostile, (text) => {
        expect(JSON.parse(auditText(text))).toBe(text)
      }),
      { numRuns: 300 },
    )
  })

  test('every control, separator and bidirectional character is written as its code', () => {
    for (let code = 0; code <= 0xffff; code++) {
      const character = String.fromCharCode(code)
      if (/[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/u.test(character))
        expect(auditText(character), code.toString(16)).toMatch(/^"\\/)
    }
  })

  test('cuts a text that is too long, even through the middle of a character', () => {
    expect(JSON.parse(auditText('x'.repeat(512)))).toBe('x'.repeat(512))
    expect(JSON.parse(auditText('x'.repeat(513)))).toBe(`${'x'.repeat(512)}…`)
    const cut = auditText(`${'x'.repeat(511)}😀${'y'.repeat(9)}`)
    expect(cut.isWellFormed()).toBe(true)
    expect(JSON.parse(cut)).toBe(`${'x'.repeat(511)}\ud83d…`)
  })

  test('begins with what jq selects on, in a fixed order', () => {
    expect(
      encodeMembers(encodeEntry({ ip: '::1', success: false, type: 'auth', level: 'warn', tool: undefined }), at),
    ).toBe('"timestamp":"2026-07-28T12:00:00.007Z","level":"warn","type":"auth","success":false,"ip":"::1"')
  })

  test('carries its own time', () => {
    for (const ms of [0, 1, 1, 0, 999])
      expect(JSON.parse(`{${encodeMembers('"a":1', ms)}}`)).toMatchObject({ timestamp: new Date(ms).toISOString() })
  })
})
