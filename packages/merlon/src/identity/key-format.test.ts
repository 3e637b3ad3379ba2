import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { leakedKeyPattern, mintKey, parseKey } from './key-format.ts'

describe('AK-01, AK-14: the format of an API key', () => {
  it('is a prefix, an id, a secret and a checksum', () => {
    const zeros = (size: number) => Buffer.alloc(size)
    expect(mintKey(zeros)).toEqual({
      text: 'mrl_000000000000_00000000000000000000000000000000000000000001A29eg',
      id: 'key_000000000000',
      last4: '29eg',
    })
  })

  it('reads back every key it mints', () => {
    for (let i = 0; i < 200; i++) {
      const key = mintKey(randomBytes)
      expect(parseKey(key.text)).toEqual({ id: key.id, text: key.text })
      expect(key.text).toHaveLength(66)
      expect(key.text.endsWith(key.last4)).toBe(true)
    }
  })

  it('gives a key a new secret under its old id', () => {
    const first = mintKey(randomBytes)
    const second = mintKey(randomBytes, first.id)
    expect(parseKey(second.text)?.id).toBe(first.id)
    expect(second.text).not.toBe(first.text)
    expect(() => mintKey(randomBytes, 'key_short')).toThrow('not the id of a key')
  })

  it('draws the characters of a secret evenly', () => {
    const counts = new Map<string, number>()
    for (let i = 0; i < 2_000; i++) {
      for (const char of mintKey(randomBytes).text.slice(17, 60)) counts.set(char, (counts.get(char) ?? 0) + 1)
    }
    // 86,000 draws over 62 characters: 1,387 each, with a standard deviation of 37. Six of them is never seen.
    expect(counts.size).toBe(62)
    for (const count of counts.values()) expect(Math.abs(count - 1_387)).toBeLessThan(6 * 37)
  })

  it('gives up on a random source that is stuck', () => {
    expect(() => mintKey((size) => Buffer.alloc(size, 255))).toThrow('random source')
  })

  it('refuses a key with any one character changed', () => {
    const { text } = mintKey(randomBytes)
    fc.assert(
      fc.property(fc.nat(65), fc.string({ minLength: 1, maxLength: 1 }), (at, char) => {
        const other = text.slice(0, at) + char + text.slice(at + 1)
        expect(parseKey(other)).toEqual(other === text ? { id: `key_${text.slice(4, 16)}`, text } : undefined)
      }),
    )
  })

  it('answers a value or undefined for any text', () => {
    fc.assert(fc.property(fc.string({ maxLength: 100 }), (text) => void expect(parseKey(text)).toBeUndefined()))
    fc.assert(
      fc.property(fc.stringMatching(/^mrl_[0-9A-Za-z]{12}_[0-9A-Za-z]{49}$/), (text) => {
        expect(parseKey(text)).toBeUndefined()
      }),
      { numRuns: 50 },
    )
  })

  it.each(['', 'constructor', '__proto__', 'toString', 'sk_read_abc123', 'sk_admin_ghi789', 'm'.repeat(10_240)])(
    'refuses %.20s',
    (text) => expect(parseKey(text)).toBeUndefined(),
  )

  it('refuses a good key with anything around it', () => {
    const { text } = mintKey(randomBytes)
    for (const other of [`${text}\n`, ` ${text}`, `${text}\0`, text.toLowerCase(), text.replace('mrl', 'MRL')]) {
      expect(parseKey(other)).toBeUndefined()
    }
  })

  it('is found in a leak by the published pattern', () => {
    const { text } = mintKey(randomBytes)
    expect(`config: "${text}", x=${text}y`.match(leakedKeyPattern)).toEqual([text])
  })
})
