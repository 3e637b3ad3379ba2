import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decodeCanonical } from './canonical-base64.ts'

describe('decodeCanonical', () => {
  test('decodes what was encoded', () => {
    fc.assert(
      fc.property(fc.uint8Array(), fc.constantFrom('base64' as const, 'base64url' as const), (bytes, encoding) => {
        expect(decodeCanonical(Buffer.from(bytes).toString(encoding), encoding)).toEqual(Buffer.from(bytes))
      }),
    )
  })

  test('TR-18: two texts never decode to the same bytes', () => {
    const text = fc.string({ unit: fc.constantFrom(...'ABQgw9+/-_= \n.'), maxLength: 8 })
    fc.assert(
      fc.property(text, fc.constantFrom('base64' as const, 'base64url' as const), (spelling, encoding) => {
        const bytes = decodeCanonical(spelling, encoding)
        if (bytes !== undefined) expect(bytes.toString(encoding)).toBe(spelling)
      }),
      { numRuns: 500 },
    )
    for (const other of ['QQ', 'QQ=', 'QR==', 'Q Q==', 'QQ==\n', '_w=='])
      expect(decodeCanonical(other, 'base64')).toBeUndefined()
    for (const other of ['QQ==', 'QR', '/w', 'Q.Q']) expect(decodeCanonical(other, 'base64url')).toBeUndefined()
  })
})
