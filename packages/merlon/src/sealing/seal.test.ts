import { createSecretKey, randomBytes } from 'node:crypto'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { anyText } from '../text.fixture.ts'
import { openSealer } from './seal.ts'

const sealer = openSealer(createSecretKey(Buffer.alloc(32, 1)), randomBytes)
const another = openSealer(createSecretKey(Buffer.alloc(32, 2)), randomBytes)
const wellFormed = anyText()

describe('a sealed token', () => {
  test('opens to what was sealed, for what it was sealed for', () => {
    fc.assert(
      fc.property(wellFormed, wellFormed, (plain, boundTo) => {
        expect(sealer.open(sealer.seal(plain, boundTo), boundTo)).toBe(plain)
      }),
    )
  })

  test('CR-02: does not open for anything else, nor with another key', () => {
    fc.assert(
      fc.property(wellFormed, wellFormed, wellFormed, (plain, boundTo, other) => {
        fc.pre(boundTo !== other)
        expect(sealer.open(sealer.seal(plain, boundTo), other)).toBeUndefined()
        expect(another.open(sealer.seal(plain, boundTo), boundTo)).toBeUndefined()
      }),
    )
  })

  test('F10: no flip of one bit opens', () => {
    const bytes = Buffer.from(sealer.seal('state of a call', 'b'), 'base64url')
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const flipped = Buffer.from(bytes)
      flipped[bit >> 3]! ^= 1 << (bit & 7)
      expect(sealer.open(flipped.toString('base64url'), 'b'), `bit ${bit}`).toBeUndefined()
    }
  })

  test('CR-01: no shorter or longer token opens, and no shorter tag', () => {
    const bytes = Buffer.from(sealer.seal('state', 'b'), 'base64url')
    for (let length = 0; length < bytes.length; length++)
      expect(sealer.open(bytes.subarray(0, length).toString('base64url'), 'b')).toBeUndefined()
    expect(sealer.open(Buffer.concat([bytes, Buffer.alloc(1)]).toString('base64url'), 'b')).toBeUndefined()
  })

  test('TR-18: another spelling of the same bytes does not open', () => {
    const token = sealer.seal('ab', 'b')
    const bytes = Buffer.from(token, 'base64url')
    expect(bytes.length % 3).not.toBe(0)
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
    const spare = alphabet[alphabet.indexOf(token.at(-1)!) + 1]!
    const spellings = [
      `${token}=`,
      ` ${token}`,
      `${token}\n`,
      `${token}.`,
      `${token.slice(0, -1)}${spare}`,
      bytes.toString('hex'),
    ]
    for (const other of spellings.slice(0, 5)) expect(Buffer.from(other, 'base64url').equals(bytes)).toBe(true)
    for (const other of spellings) expect(sealer.open(other, 'b'), other).toBeUndefined()
  })

  test('any text opens to nothing', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.base64String()), (text) => {
        expect(sealer.open(text, 'b')).toBeUndefined()
      }),
    )
  })

  test('differs each time, and does not show what it holds', () => {
    const tokens = Array.from({ length: 100 }, () => sealer.seal('canary', 'b'))
    expect(new Set(tokens).size).toBe(100)
    for (const token of tokens) expect(Buffer.from(token, 'base64url').includes('canary')).toBe(false)
  })

  test('takes its nonce from the source it was given', () => {
    const sizes: number[] = []
    const fixed = openSealer(createSecretKey(Buffer.alloc(32, 1)), (size) => {
      sizes.push(size)
      return Buffer.alloc(size, 7)
    })
    expect(fixed.open(fixed.seal('x', 'b'), 'b')).toBe('x')
    expect(sizes).toEqual([12])
  })
})
