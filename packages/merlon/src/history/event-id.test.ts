import { createSecretKey } from 'node:crypto'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decodeEventId, encodeEventId } from './event-id.ts'

const key = createSecretKey(Buffer.alloc(32, 1))
const place = fc.integer({ min: 0, max: 0xffff_ffff })

describe('an event id', () => {
  test('decodes to the place it was made for, and is plain visible ASCII of one length', () => {
    fc.assert(
      fc.property(fc.string(), place, place, (session, stream, seq) => {
        const id = encodeEventId(key, session, stream, seq)
        expect(id).toMatch(/^[A-Za-z0-9_-]{32}$/)
        expect(decodeEventId(key, session, id)).toEqual({ stream, seq })
      }),
    )
  })

  test('EV-01: means nothing in another session, nor under another key', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), place, place, (session, other, stream, seq) => {
        fc.pre(session !== other)
        const id = encodeEventId(key, session, stream, seq)
        expect(decodeEventId(key, other, id)).toBeUndefined()
        expect(decodeEventId(createSecretKey(Buffer.alloc(32, 2)), session, id)).toBeUndefined()
      }),
    )
  })

  test('EV-01: no flip of one bit is taken', () => {
    const bytes = Buffer.from(encodeEventId(key, 's', 3, 9), 'base64url')
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const flipped = Buffer.from(bytes)
      flipped[bit >> 3]! ^= 1 << (bit & 7)
      expect(decodeEventId(key, 's', flipped.toString('base64url')), `bit ${bit}`).toBeUndefined()
    }
  })

  test('TR-18: truncated, padded or otherwise spelled, it is not taken', () => {
    const id = encodeEventId(key, 's', 3, 9)
    for (let length = 0; length < id.length; length++)
      expect(decodeEventId(key, 's', id.slice(0, length))).toBeUndefined()
    for (const other of [`${id}=`, `${id}A`, ` ${id}`, `${id.slice(0, -1)}\n`, `${id.slice(0, -1)}=`])
      expect(decodeEventId(key, 's', other), other).toBeUndefined()
    // The letters of plain base64 would say the same bytes.
    const telling = Array.from({ length: 50 }, (_, seq) => encodeEventId(key, 's', 3, seq)).filter((each) =>
      /[-_]/.test(each),
    )
    expect(telling.length).toBeGreaterThan(10)
    for (const each of telling)
      expect(decodeEventId(key, 's', Buffer.from(each, 'base64url').toString('base64'))).toBeUndefined()
  })

  test('any text is a place or nothing', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.string(), fc.string({ unit: fc.constantFrom(...'AZaz09-_'), minLength: 32, maxLength: 32 })),
        (text) => {
          expect(decodeEventId(key, 's', text)).toBeUndefined()
        },
      ),
    )
  })
})
