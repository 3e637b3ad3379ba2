import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { anyText } from '../text.fixture.ts'
import { decodeHeaderValue, encodeHeaderValue } from './header-value.ts'

const wellFormed = fc.oneof(
  fc.string({ unit: 'grapheme' }),
  anyText(),
  fc.string().map((text) => `=?base64?${text}?=`),
  fc.constantFrom('', ' ', '\t', ' padded ', '=?base64?=', '=?base64??=', '\u007f', 'a\r\nb', '\u00a0x'),
)

describe('mirrored header values (Streamable HTTP, "Value Encoding")', () => {
  test('what was encoded decodes to the same text', () => {
    fc.assert(
      fc.property(wellFormed, (text) => {
        expect(decodeHeaderValue(encodeHeaderValue(text))).toBe(text)
      }),
      { numRuns: 500 },
    )
  })

  test('TR-24: an encoded value is visible ASCII without edges that HTTP would trim', () => {
    fc.assert(
      fc.property(wellFormed, (text) => {
        expect(encodeHeaderValue(text)).toMatch(/^(?:[\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?)?$/)
      }),
      { numRuns: 500 },
    )
  })

  test('the examples of the specification', () => {
    for (const [text, header] of [
      ['us-west1', 'us-west1'],
      ['Hello, 世界', '=?base64?SGVsbG8sIOS4lueVjA==?='],
      [' padded ', '=?base64?IHBhZGRlZCA=?='],
      ['line1\nline2', '=?base64?bGluZTEKbGluZTI=?='],
      ['=?base64?literal?=', '=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?='],
    ] as const) {
      expect(encodeHeaderValue(text)).toBe(header)
      expect(decodeHeaderValue(header)).toBe(text)
    }
  })

  test('TR-18: Base64 in any but its canonical spelling is refused', () => {
    for (const inner of ['QQ', 'QQ=', 'QR==', 'Q Q==', 'QQ==\n', 'QQ==QQ==', 'QQ==!', 'Q', '=', '_-_-', 'QUI'])
      expect(decodeHeaderValue(`=?base64?${inner}?=`), inner).toBeUndefined()
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'AQgw+/=-_ \n'), maxLength: 12 }), (inner) => {
        const text = decodeHeaderValue(`=?base64?${inner}?=`)
        if (text !== undefined) expect(Buffer.from(text).toString('base64')).toBe(inner)
      }),
    )
  })

  test('Base64 of bytes that are not UTF-8 is refused', () => {
    for (const bytes of [[0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80]])
      expect(decodeHeaderValue(`=?base64?${Buffer.from(bytes).toString('base64')}?=`)).toBeUndefined()
  })

  test('a plain value with a control or non-ASCII character is refused', () => {
    for (const value of ['é', 'a\u0000', 'a\u007f', 'a\u0080', 'a\nb', '世界'])
      expect(decodeHeaderValue(value)).toBeUndefined()
    // Half of the sentinel is plain text.
    for (const value of ['=?base64?QQ==', 'QQ==?=', '=?BASE64?QQ==?=']) expect(decodeHeaderValue(value)).toBe(value)
  })
})
