import { createSecretKey, type KeyObject, randomBytes } from 'node:crypto'
import type { RandomBytes } from '../call.ts'
import { decodeCanonical } from '../canonical-base64.ts'

/** A key, or what is wrong with the text in words that follow its name and never quote it: `is empty`. */
export type KeyMaterial = { readonly key: KeyObject } | { readonly says: string }

const keyBytes = 32

/**
 * Reads a key of exactly 32 random bytes from base64, base64url or hex, and refuses what was thought up rather than made:
 * a placeholder, a published sample, a phrase in disguise, repetition, counting. A passphrase is not stretched.
 */
export function parseKeyMaterial(text: string): KeyMaterial {
  if (text === '') return { says: 'is empty' }
  if (isPlaceholder(text)) return { says: sample }
  const bytes = decode(text)
  if (bytes === undefined) return { says: 'is not 32 bytes as base64 or hex' }
  try {
    if (published.some((known) => known.equals(bytes))) return { says: sample }
    if (isPhrase(text, bytes) || isPatterned(bytes)) return { says: 'is not random: it repeats, counts, or is text' }
    return { key: createSecretKey(bytes) }
  } finally {
    bytes.fill(0)
  }
}

/** A new key of 32 random bytes in base64url, such as `parseKeyMaterial` takes. Throws where `random` is broken. */
export function freshKeyMaterial(random: RandomBytes = randomBytes): string {
  // Base64url reads like a placeholder about once in 200,000; three times in a row is a broken source.
  for (let attempt = 0; attempt < 3; attempt++) {
    const bytes = random(keyBytes)
    const text = bytes.toString('base64url')
    bytes.fill(0)
    if ('key' in parseKeyMaterial(text)) return text
  }
  throw new Error('the random source does not give random bytes')
}

const sample = 'is a placeholder or a published sample'

/** Words that stand where a secret was meant to go, in templates and tutorials, and the sample keys of tutorials. */
const placeholders: readonly RegExp[] = [
  /^(?:your|my[-_ ](?:super|api|jwt|key|encryption))[-_ ]?/i,
  /^(?:xxx+|\.{3,}|…+|\*+|-+|todo|tbd|none|null|undefined|test|admin|default)$/i,
  /change|secret|replace|example|sample|passw|placeholder|encryption|insert|letmein|qwerty|123456/i,
  /(?:your|dummy|test)[-_]/i,
  /^sk_(?:read|write|admin)_/i,
  /^<.*>$|^\[.*\]$|^\{.*\}$|\$\{|\{\{/,
]

/** Whether a text stands where a secret was meant to go. */
export function isPlaceholder(text: string): boolean {
  const trimmed = text.trim()
  return placeholders.some((pattern) => pattern.test(trimmed))
}

/** Keys that were printed in standards and manuals; those that count or repeat are refused as such. */
const published: readonly Buffer[] = [
  // NIST SP 800-38A, F.1.5
  Buffer.from('603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4', 'hex'),
]

/** Only the exact spelling of 32 bytes counts; `Buffer.from` alone would skip junk and guess at the rest. */
function decode(text: string): Buffer | undefined {
  if (/^[0-9a-fA-F]{64}$/.test(text)) return Buffer.from(text, 'hex')
  const bare = /^([^=]{43})=?$/.exec(text)?.[1]
  if (bare === undefined) return undefined
  return /[-_]/.test(bare) ? decodeCanonical(bare, 'base64url') : decodeCanonical(`${bare}=`, 'base64')
}

/** Text that decodes to 32 bytes by its length alone, or that was encoded. */
function isPhrase(text: string, bytes: Buffer): boolean {
  // 43 random characters of base64 lack capitals, or small letters, less than once in a thousand million.
  if (text.length < 64 && !(/[A-Z]/.test(text) && /[a-z]/.test(text))) return true
  return bytes.every((byte) => byte >= 0x20 && byte < 0x7f)
}

/** 32 random bytes hold about 30 different ones; fewer than 20 does not happen by chance (below 1e-12). */
function isPatterned(bytes: Buffer): boolean {
  if (new Set(bytes).size < 20) return true
  const steps = new Map<number, number>()
  for (let index = 1; index < bytes.length; index++) {
    const step = (bytes[index]! - bytes[index - 1]! + 256) % 256
    steps.set(step, (steps.get(step) ?? 0) + 1)
  }
  return Math.max(...steps.values()) >= 12
}
