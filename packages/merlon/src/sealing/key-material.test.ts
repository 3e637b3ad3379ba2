import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { freshKeyMaterial, isPlaceholder, parseKeyMaterial } from './key-material.ts'

const good = Buffer.from('8f1d5c0a93e24b77b6c8d90e2f3a4156a7b9c3d1e5f70213648596a7c8dae0fb', 'hex')

function bytesOf(text: string): Buffer | undefined {
  const material = parseKeyMaterial(text)
  return 'key' in material ? material.key.export() : undefined
}

afterEach(() => vi.restoreAllMocks())

describe('CR-04, CR-12: key material', () => {
  it.each(['base64', 'base64url', 'hex'] as const)('is read from %s', (encoding) => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (noise) => {
        // Noise from fast-check likes small numbers; mixed with a good key it is as random as that.
        const bytes = Buffer.from(noise.map((byte, i) => ((byte & 1) + good[i]!) & 0xff))
        expect(bytesOf(bytes.toString(encoding))).toEqual(bytes)
      }),
      { numRuns: 30 },
    )
  })

  it('is read in capitals of hex, and from base64 of either alphabet with its padding or without', () => {
    expect(bytesOf(good.toString('hex').toUpperCase())).toEqual(good)
    expect(bytesOf(good.toString('base64').replace('=', ''))).toEqual(good)
    expect(bytesOf(`${good.toString('base64url')}=`)).toEqual(good)
  })

  const sample = 'is a placeholder or a published sample'
  const notKey = 'is not 32 bytes as base64 or hex'
  const notRandom = 'is not random: it repeats, counts, or is text'
  const b64 = good.toString('base64')
  it.each([
    ['nothing', '', 'is empty'],
    ['a password', 'secret-api-key', sample],
    ['a sample of a manual', 'your-jwt-secret-key', sample],
    ['another', 'your-32-byte-encryption-key-here', sample],
    ['a placeholder of the right length', 'your-32-byte-encryption-key-goes-Right-here', sample],
    ['another', 'CHANGEME-changeme-CHANGEME-changeme-abcdefg', sample],
    ['a placeholder inside', `${b64.slice(0, 20)}Insert${b64.slice(26)}`, sample],
    ['a word of a test inside', `${b64.slice(0, 20)}Dummy_${b64.slice(26)}`, sample],
    ['a sample key of a tutorial', 'sk_read_abc123', sample],
    ['another', 'sk_admin_ghi789', sample],
    ['a word of a template', 'changeme', sample],
    ['a place in angle brackets', '<generate one>', sample],
    ['a variable', '$' + '{ENCRYPTION_KEY}', sample],
    ['the key of a standard', '603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4', sample],
    ['the key of a standard in base64', 'YD3rEBXKcb4rc67whX13gR81LAc7YQjXLZgQowkU3/Q=', sample],
    ['a phrase', 'correct horse battery staple', notKey],
    ['a phrase of 32 characters', 'correct horse battery staple!!!!', notKey],
    ['16 bytes in hex', good.subarray(0, 16).toString('hex'), notKey],
    ['16 bytes in base64', good.subarray(0, 16).toString('base64'), notKey],
    ['31 bytes', good.subarray(0, 31).toString('base64'), notKey],
    ['33 bytes', Buffer.concat([good, good.subarray(0, 1)]).toString('base64'), notKey],
    ['junk inside', `${b64.slice(0, 20)} ${b64.slice(20)}`, notKey],
    ['a line in front', `\n${b64}`, notKey],
    ['two alphabets', `${b64.slice(0, 4)}-${b64.slice(5, 8)}+${b64.slice(9)}`, notKey],
    ['bits too many', b64.replace(/s=$/, 't='), notKey],
    ['bits too many without padding', b64.replace(/s=$/, 't'), notKey],
    ['padding too much', `${b64}=`, notKey],
    ['a phrase of the right length', 'correct-horse-battery-staple-correct-horses', notRandom],
    ['a phrase in base64', Buffer.from('Jackdaws love my big Sphinx Quar').toString('base64'), notRandom],
    ['a phrase in hex', Buffer.from('Jackdaws love my big Sphinx Quar').toString('hex'), notRandom],
    ['zeros', '0'.repeat(64), notRandom],
    ['zeros in base64', Buffer.alloc(32).toString('base64'), notRandom],
    ['one byte over and over', 'ab'.repeat(32), notRandom],
    ['four bytes over and over', 'deadbeef'.repeat(8), notRandom],
    ['a pattern', 'f023456789abcde1'.repeat(4), notRandom],
    ['half a key twice', Buffer.concat([good.subarray(0, 16), good.subarray(0, 16)]).toString('hex'), notRandom],
    ['counting', Buffer.from(Array.from({ length: 32 }, (_, i) => i)).toString('hex'), notRandom],
    [
      'counting down in threes',
      Buffer.from(Array.from({ length: 32 }, (_, i) => 255 - 3 * i)).toString('hex'),
      notRandom,
    ],
    ['few different bytes', Buffer.from(good.map((byte) => byte & 15)).toString('hex'), notRandom],
  ])('is refused when it is %s: %j', (_what, text, says) => {
    expect(parseKeyMaterial(text)).toEqual({ says })
  })

  it('leaves no bytes of a key behind, whether it is taken or refused', () => {
    const from = vi.spyOn(Buffer, 'from')
    for (const text of [good.toString('hex'), b64, good.toString('base64url'), 'ab'.repeat(32)]) parseKeyMaterial(text)
    const made = from.mock.results.flatMap(({ value }) =>
      Buffer.isBuffer(value) && value.length === 32 ? [value] : [],
    )
    expect(made).toHaveLength(4)
    for (const bytes of made) expect(bytes).toEqual(Buffer.alloc(32))
  })

  it('is random when made fresh, passes its own test, and is wiped where it was drawn', () => {
    const drawn: Buffer[] = []
    const made = new Set(
      Array.from({ length: 200 }, () =>
        freshKeyMaterial((size) => {
          const bytes = randomBytes(size)
          drawn.push(bytes)
          return bytes
        }),
      ),
    )
    expect(made.size).toBe(200)
    for (const text of made) expect(bytesOf(text)).toHaveLength(32)
    for (const bytes of drawn) expect(bytes).toEqual(Buffer.alloc(32))
  })

  it('is drawn again when it looks weak, and not made from a source that is not random', () => {
    const draws = [Buffer.alloc(32), Buffer.from(good)]
    expect(freshKeyMaterial(() => draws.shift()!)).toBe(good.toString('base64url'))
    expect(() => freshKeyMaterial((size) => Buffer.alloc(size))).toThrow('the random source does not give random bytes')
    expect(() => freshKeyMaterial(() => randomBytes(16))).toThrow('the random source')
  })
})

it.each([
  ['changeme', true],
  [' your-jwt-secret ', true],
  [' <generate one>\n', true],
  ['TODO', true],
  ['{{ secret }}', true],
  [good.toString('base64'), false],
  [good.toString('hex'), false],
])('the text %j stands where a secret was meant to go: %j', (text, placeholder) => {
  expect(isPlaceholder(text)).toBe(placeholder)
})
