import { createCipheriv, createDecipheriv, type KeyObject } from 'node:crypto'
import type { RandomBytes } from '../call.ts'

/**
 * Records at rest: `version ‖ key id ‖ nonce ‖ text ‖ tag`, AES-256-GCM with a fresh 96-bit nonce and a 128-bit tag
 * (NIST SP 800-38D). What is not inside but has to be known to open one is its place: tenant, type, record and sequence. A
 * record that was altered, cut, or brought from another place does not open, and neither does an older state of the same
 * record once its sequence has moved on.
 */
export interface Place {
  readonly tenant: string
  /** What kind of record it is: two kinds never open as each other. */
  readonly type: 'session' | 'event' | 'answer' | 'mail'
  /** Which record of that kind. */
  readonly record: string
  /** Which state of it: a version, or the place in a row of records. A whole number from 0. */
  readonly sequence: number
}

/** A key that seals, and the id by which a record names it. */
export interface RecordKey {
  /** 12 ASCII characters. */
  readonly id: string
  readonly key: KeyObject
}

/** Tokens are version 1 (`seal.ts`); a token is no record. */
const version = 2
const idBytes = 12
const ivBytes = 12
const tagBytes = 16
const headBytes = 1 + idBytes + ivBytes

/** How much longer a sealed record is than its text, in bytes. */
export const sealedOverheadBytes = headBytes + tagBytes

export function sealRecord(key: RecordKey, place: Place, plain: Buffer, random: RandomBytes): Buffer {
  const iv = random(ivBytes)
  const cipher = createCipheriv('aes-256-gcm', key.key, iv, { authTagLength: tagBytes })
  cipher.setAAD(bindingOf(key.id, place))
  const sealed = Buffer.allocUnsafe(headBytes + plain.length + tagBytes)
  sealed[0] = version
  sealed.write(key.id, 1, idBytes, 'latin1')
  iv.copy(sealed, 1 + idBytes)
  cipher.update(plain).copy(sealed, headBytes)
  cipher.final()
  cipher.getAuthTag().copy(sealed, headBytes + plain.length)
  return sealed
}

/** The id of the key that sealed it; undefined where these bytes are no record of ours. */
export function keyIdOf(sealed: Buffer): string | undefined {
  return sealed.length < sealedOverheadBytes ? undefined : keyIdIn(sealed)
}

/** So many bytes of a record tell which key sealed it. */
export const keyHeadBytes = 1 + idBytes

/** The id of the key, from the first bytes of a record. */
export function keyIdIn(head: Buffer): string | undefined {
  return head.length < keyHeadBytes || head[0] !== version ? undefined : head.toString('latin1', 1, keyHeadBytes)
}

/** The text, or undefined where the record was altered or does not belong to this place. */
export function openRecord(key: RecordKey, place: Place, sealed: Buffer): Buffer | undefined {
  // A number that no record of ours has: what stands beside a record may have been written by somebody else.
  if (keyIdOf(sealed) !== key.id || !Number.isSafeInteger(place.sequence) || place.sequence < 0) return undefined
  const iv = sealed.subarray(1 + idBytes, headBytes)
  const decipher = createDecipheriv('aes-256-gcm', key.key, iv, { authTagLength: tagBytes })
  decipher.setAAD(bindingOf(key.id, place))
  decipher.setAuthTag(sealed.subarray(sealed.length - tagBytes))
  const plain = decipher.update(sealed.subarray(headBytes, sealed.length - tagBytes))
  try {
    decipher.final()
  } catch {
    // Never shown: what `update` gave is not known to be what was sealed.
    plain.fill(0)
    return undefined
  }
  return plain
}

/** The associated data. Each part is preceded by its length, so that no two places read the same. */
function bindingOf(id: string, { tenant, type, record, sequence }: Place): Buffer {
  const parts = [Buffer.of(version), Buffer.from(id, 'latin1')]
  for (const text of [tenant, type, record]) {
    const bytes = Buffer.from(text)
    const length = Buffer.allocUnsafe(4)
    length.writeUInt32BE(bytes.length)
    parts.push(length, bytes)
  }
  const place = Buffer.allocUnsafe(8)
  place.writeBigUInt64BE(BigInt(sequence))
  parts.push(place)
  return Buffer.concat(parts)
}
