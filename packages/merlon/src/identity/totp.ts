import { createHmac, timingSafeEqual } from 'node:crypto'
import type { Instant } from '../call.ts'

/** One-time passwords by the time (RFC 6238), in the form that every authenticator app knows: SHA-1, 6 digits, 30 seconds. */
export const totpForm = Object.freeze({ algorithm: 'SHA1', digits: 6, periodMs: 30_000 })

/** 160 bits, as long as the hash (RFC 4226 §4). */
export const totpSecretBytes = 20

/** Clocks differ, and a person takes a while to type: one step before and one after are good as well. */
const stepsAround = [-1, 0, 1] as const

export function stepAt(now: Instant): number {
  return Math.floor(now / totpForm.periodMs)
}

/** The code of a step (RFC 4226 §5.3). */
export function totpCode(secret: Buffer, step: number, digits: number = totpForm.digits): string {
  const counter = Buffer.alloc(8)
  counter.writeBigUInt64BE(BigInt(step))
  const digest = createHmac('sha1', secret).update(counter).digest()
  const offset = digest.at(-1)! & 0x0f
  const number = digest.readUInt32BE(offset) & 0x7fff_ffff
  return String(number % 10 ** digits).padStart(digits, '0')
}

/** The step of now, or beside it, whose code this is. Every one is looked at, whichever it is. */
export function stepOf(secret: Buffer, code: string, now: Instant): number | undefined {
  const typed = Buffer.from(code)
  let found: number | undefined
  for (const each of stepsAround) {
    const step = stepAt(now) + each
    const expected = Buffer.from(totpCode(secret, step))
    if (typed.length === expected.length && timingSafeEqual(typed, expected)) found = step
  }
  return found
}

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'

/** RFC 4648 §6, without padding: how apps take a secret that is typed. */
export function base32(bytes: Buffer): string {
  let text = ''
  let held = 0
  let bits = 0
  for (const byte of bytes) {
    held = (held << 8) | byte
    bits += 8
    while (bits >= 5) {
      bits -= 5
      text += alphabet[(held >>> bits) & 31]
    }
    held &= (1 << bits) - 1
  }
  return bits === 0 ? text : text + alphabet[(held << (5 - bits)) & 31]
}

/** What an authenticator app reads from a QR code. */
export function otpauthUri(secret: Buffer, issuer: string, account: string): string {
  const label = `${encodeURIComponent(issuer)}:${encodeURIComponent(account)}`
  const { algorithm, digits, periodMs } = totpForm
  const query = [
    `secret=${base32(secret)}`,
    `issuer=${encodeURIComponent(issuer)}`,
    `algorithm=${algorithm}`,
    `digits=${digits}`,
    `period=${periodMs / 1_000}`,
  ]
  return `otpauth://totp/${label}?${query.join('&')}`
}
