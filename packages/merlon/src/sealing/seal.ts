import { createCipheriv, createDecipheriv, type KeyObject } from 'node:crypto'
import type { RandomBytes } from '../call.ts'
import { decodeCanonical } from '../canonical-base64.ts'

const version = 1
const ivBytes = 12
const tagBytes = 16

/**
 * Seals text into an opaque token and opens it again: AES-256-GCM, a fresh 96-bit nonce, a 128-bit tag, base64url.
 * The associated data binds a token to where it belongs; it is not inside the token, so the opener must know it.
 */
export interface Sealer {
  seal(plain: string, boundTo: string): string
  /** The text, or undefined where the token was altered, is spelled otherwise, or was sealed for something else. */
  open(token: string, boundTo: string): string | undefined
}

export function openSealer(key: KeyObject, random: RandomBytes): Sealer {
  return {
    seal(plain, boundTo) {
      const iv = random(ivBytes)
      const cipher = createCipheriv('aes-256-gcm', key, iv, { authTagLength: tagBytes })
      cipher.setAAD(Buffer.from(boundTo))
      const sealed = cipher.update(plain, 'utf8')
      const rest = cipher.final()
      return Buffer.concat([Buffer.of(version), iv, sealed, rest, cipher.getAuthTag()]).toString('base64url')
    },
    open(token, boundTo) {
      const bytes = decodeCanonical(token, 'base64url')
      if (bytes === undefined || bytes.length < 1 + ivBytes + tagBytes || bytes[0] !== version) return undefined
      const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(1, 1 + ivBytes), { authTagLength: tagBytes })
      decipher.setAAD(Buffer.from(boundTo))
      decipher.setAuthTag(bytes.subarray(bytes.length - tagBytes))
      const plain = decipher.update(bytes.subarray(1 + ivBytes, bytes.length - tagBytes))
      try {
        return Buffer.concat([plain, decipher.final()]).toString('utf8')
      } catch {
        return undefined
      }
    },
  }
}
