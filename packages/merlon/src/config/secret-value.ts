import { decodeCanonical } from '../canonical-base64.ts'

/**
 * Tells a secret that was made from one that was thought up. Everything here answers in words that do not quote the
 * value.
 */

const makeOne = 'Run `merlon generate-keys --secrets` for good ones'

export type KeyMaterial =
  | { readonly ok: true; readonly bytes: Buffer }
  | { readonly ok: false; readonly says: string; readonly fix: string }

/** Reads a key of exactly 32 random bytes, as base64, base64url or hex. A passphrase is not stretched; it is refused. */
export function parseKeyMaterial(text: string): KeyMaterial {
  const refuse = (says: string): KeyMaterial => ({ ok: false, says, fix: makeOne })
  if (text === '') return refuse('is empty')
  if (isPlaceholder(text)) return refuse('is a placeholder or a published sample')
  const bytes = decode32(text)
  if (bytes === undefined) return refuse('is not 32 bytes as base64 or hex')
  if (isPatterned(bytes)) return refuse('is not random: it repeats, counts, or is text')
  return { ok: true, bytes }
}

/** Words that stand where a secret was meant to go, in templates and tutorials, and the sample keys of tutorials. */
const placeholders: readonly RegExp[] = [
  /^(?:your|my[-_ ](?:super|api|jwt|key|encryption))[-_ ]?/i,
  /^(?:xxx+|\.{3,}|…+|\*+|-+|todo|tbd|none|null|undefined|test|admin|default)$/i,
  /change[-_ ]?me|change[-_ ]?this|replace[-_ ]?(?:me|this|with)|insert[-_ ]?(?:your|here)|placeholder/i,
  /secret|passw|example|sample|letmein|qwerty|123456/i,
  /^sk_(?:read|write|admin)_/i,
  /^<.*>$|^\[.*\]$|^\{.*\}$|\$\{|\{\{/,
]

export function isPlaceholder(text: string): boolean {
  const trimmed = text.trim()
  return placeholders.some((pattern) => pattern.test(trimmed))
}

function decode32(text: string): Buffer | undefined {
  if (/^[0-9a-fA-F]{64}$/.test(text)) return Buffer.from(text, 'hex')
  const bytes = decodeCanonical(text, 'base64url') ?? decodeCanonical(text.endsWith('=') ? text : `${text}=`, 'base64')
  return bytes?.length === 32 ? bytes : undefined
}

/** 32 random bytes hold about 30 different ones; fewer than 20 does not happen by chance (below 1e-12). */
function isPatterned(bytes: Buffer): boolean {
  if (new Set(bytes).size < 20) return true
  if (bytes.every((byte) => byte >= 0x20 && byte < 0x7f)) return true
  const steps = new Map<number, number>()
  for (let index = 1; index < bytes.length; index++) {
    const step = (bytes[index]! - bytes[index - 1]! + 256) % 256
    steps.set(step, (steps.get(step) ?? 0) + 1)
  }
  return Math.max(...steps.values()) >= 12
}

/** What is wrong with the address of a PostgreSQL database, or nothing. */
export function databaseUrlProblem(text: string): string | undefined {
  if (!URL.canParse(text)) return 'is not a URL'
  const { protocol, password, hostname } = new URL(text)
  if (protocol !== 'postgres:' && protocol !== 'postgresql:') return 'is not a postgres:// address'
  if (hostname === '' && !text.includes('?')) return 'names no host'
  if (/^(?:<|your[-_]|change[-_]?me|%3C)/i.test(password)) return 'holds a placeholder for the password'
  return undefined
}

/** Text that is a secret itself: a key of ours, a private key, or an address with a password in it. */
export function looksLikeSecret(text: string): boolean {
  return (
    /\bmrl_[0-9A-Za-z]{12}_[0-9A-Za-z]{20,}/.test(text) ||
    /-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(text) ||
    /^[a-z][a-z0-9+.-]*:\/\/[^/@\s:]*:[^/@\s]+@/i.test(text)
  )
}
