import { createSecretKey, randomBytes } from 'node:crypto'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { keyIdOf, openRecord, type Place, type RecordKey, sealedOverheadBytes, sealRecord } from './record.ts'

const key: RecordKey = { id: 'AbCdEf012345', key: createSecretKey(Buffer.alloc(32, 7)) }
const place: Place = { tenant: 'acme', type: 'event', record: 'a1b2/3', sequence: 41 }
const plain = Buffer.from('{"jsonrpc":"2.0","method":"notifications/message"}')

describe('a sealed record', () => {
  test('opens where it belongs, and says which key sealed it', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 300 }),
        fc.string(),
        fc.string(),
        fc.maxSafeNat(),
        (bytes, tenant, record, sequence) => {
          const where: Place = { tenant, type: 'session', record, sequence }
          const sealed = sealRecord(key, where, Buffer.from(bytes), randomBytes)
          expect(sealed.length).toBe(bytes.length + sealedOverheadBytes)
          expect(keyIdOf(sealed)).toBe('AbCdEf012345')
          expect(openRecord(key, where, sealed)).toEqual(Buffer.from(bytes))
        },
      ),
    )
  })

  test('CR-01: is not opened with any one bit flipped', () => {
    const sealed = sealRecord(key, place, plain, randomBytes)
    for (let bit = 0; bit < sealed.length * 8; bit++) {
      const altered = Buffer.from(sealed)
      altered[bit >> 3]! ^= 1 << (bit & 7)
      expect(openRecord(key, place, altered)).toBeUndefined()
    }
  })

  test('CR-01: is not opened cut at any length, its tag cut to four bytes included, nor with bytes behind it', () => {
    const sealed = sealRecord(key, place, plain, randomBytes)
    for (let length = 0; length < sealed.length; length++)
      expect(openRecord(key, place, sealed.subarray(0, length))).toBeUndefined()
    expect(openRecord(key, place, Buffer.concat([sealed, Buffer.alloc(1)]))).toBeUndefined()
  })

  test.each<[string, Partial<Place>]>([
    ['tenant', { tenant: 'other' }],
    ['kind', { type: 'session' }],
    ['record', { record: 'a1b2/4' }],
    ['sequence', { sequence: 40 }],
    ['sequence below zero', { sequence: -1 }],
    ['sequence that is no whole number', { sequence: 41.5 }],
    ['sequence beyond what is counted', { sequence: 2 ** 64 }],
    ['parts of the place, drawn elsewhere', { tenant: 'acm', record: 'ea1b2/3' }],
  ])('CR-02: is not opened for another %s', (_what, other) => {
    const sealed = sealRecord(key, place, plain, randomBytes)
    expect(openRecord(key, { ...place, ...other }, sealed)).toBeUndefined()
  })

  test('is not opened by another key, whatever that key is called', () => {
    const sealed = sealRecord(key, place, plain, randomBytes)
    const other = createSecretKey(Buffer.alloc(32, 8))
    expect(openRecord({ id: key.id, key: other }, place, sealed)).toBeUndefined()
    expect(openRecord({ id: 'AbCdEf012346', key: key.key }, place, sealed)).toBeUndefined()
  })

  test('any bytes give a text or nothing', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(openRecord(key, place, Buffer.from(bytes))).toBeUndefined()
      }),
    )
  })

  test('two seals of one text have no nonce in common', () => {
    const nonces = new Set<string>()
    for (let i = 0; i < 1_000; i++)
      nonces.add(sealRecord(key, place, plain, randomBytes).subarray(13, 25).toString('hex'))
    expect(nonces.size).toBe(1_000)
  })
})
