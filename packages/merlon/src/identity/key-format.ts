import { crc32 } from 'node:zlib'
import type { RandomBytes } from '../call.ts'

/**
 * How an API key is written: `mrl_<id>_<secret><check>`. The id is public and finds the key; the secret is 43 base62
 * characters (256.03 bits); the check is the CRC-32 of everything before it, so that a mistyped or invented key is
 * refused without asking a store, and a scanner can tell a leaked key from a word that looks like one.
 */
export const keyPrefix = 'mrl_'
const idLength = 12
const secretLength = 43
const checkLength = 6
const bodyLength = keyPrefix.length + idLength + 1 + secretLength
const textLength = bodyLength + checkLength

const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const whole = /^mrl_[0-9A-Za-z]{12}_[0-9A-Za-z]{49}$/

/** Finds keys in other text. For secret scanners; confirm a find with `parseKey`, which also checks the checksum. */
export const leakedKeyPattern = /\bmrl_[0-9A-Za-z]{12}_[0-9A-Za-z]{49}\b/g

/** A key as its owner sees it once. Only `id` and `last4` may be kept. */
export interface MintedKey {
  readonly text: string
  readonly id: string
  readonly last4: string
}

export interface ShownKey {
  /** `key_` and the 12 public characters. */
  readonly id: string
  readonly text: string
}

/** Makes a new key, or, given the id of one, a new secret for it. */
export function mintKey(random: RandomBytes, id = `key_${base62(random, idLength)}`): MintedKey {
  const body = `${keyPrefix}${id.slice(4)}_${base62(random, secretLength)}`
  const text = body + checksum(body)
  if (!whole.test(text)) throw new Error(`not the id of a key: ${id}`)
  return { text, id, last4: text.slice(-4) }
}

/** Reads a key, or answers `undefined` for text that cannot be one. Looks at no more than 66 characters. */
export function parseKey(text: string): ShownKey | undefined {
  if (text.length !== textLength || !whole.test(text)) return undefined
  if (checksum(text.slice(0, bodyLength)) !== text.slice(bodyLength)) return undefined
  return { id: `key_${text.slice(keyPrefix.length, keyPrefix.length + idLength)}`, text }
}

/** The id that a text would name if it were a key; nothing of the rest is looked at. */
export function idIn(text: string): string {
  return text.length === textLength ? `key_${text.slice(keyPrefix.length, keyPrefix.length + idLength)}` : ''
}

/** Random base62 characters, each equally likely: bytes past the last whole multiple of 62 are thrown away. */
export function base62(random: RandomBytes, length: number): string {
  let text = ''
  // 16 rounds that all fail have a chance below 2^-500; a random source that does so is broken, and must not hang us.
  for (let round = 0; round < 16; round++) {
    for (const byte of random(length * 2)) {
      if (byte >= 248) continue
      text += alphabet[byte % 62]
      if (text.length === length) return text
    }
  }
  throw new Error('the random source does not give random bytes')
}

function checksum(body: string): string {
  let rest = crc32(body)
  let text = ''
  for (let place = 0; place < checkLength; place++) {
    text = alphabet[rest % 62] + text
    rest = Math.floor(rest / 62)
  }
  return text
}
