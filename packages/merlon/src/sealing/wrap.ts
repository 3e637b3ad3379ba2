import { createCipheriv, createDecipheriv, createSecretKey, type KeyObject } from 'node:crypto'
import type { RandomBytes } from '../call.ts'

const keyBytes = 32
const ivBytes = 12
const tagBytes = 16
const version = 1

/**
 * Wraps the 32 bytes of a key with another: AES-256-GCM with a fresh 96-bit nonce and a 128-bit tag, `version ‖ nonce ‖ key ‖
 * tag`. What it is bound to is not inside; a wrapped key that is moved elsewhere does not unwrap there.
 */
export function wrapKey(wrapping: KeyObject, boundTo: Buffer, material: Buffer, random: RandomBytes): Buffer {
  const iv = random(ivBytes)
  const cipher = createCipheriv('aes-256-gcm', wrapping, iv, { authTagLength: tagBytes })
  cipher.setAAD(boundTo)
  const sealed = [cipher.update(material), cipher.final()]
  return Buffer.concat([Buffer.of(version), iv, ...sealed, cipher.getAuthTag()])
}

/** The key, or undefined where it was wrapped by another, altered, or belongs elsewhere. */
export function unwrapKey(wrapping: KeyObject, boundTo: Buffer, wrapped: Buffer): KeyObject | undefined {
  if (wrapped.length !== 1 + ivBytes + keyBytes + tagBytes || wrapped[0] !== version) return undefined
  const iv = wrapped.subarray(1, 1 + ivBytes)
  const decipher = createDecipheriv('aes-256-gcm', wrapping, iv, { authTagLength: tagBytes })
  decipher.setAAD(boundTo)
  decipher.setAuthTag(wrapped.subarray(wrapped.length - tagBytes))
  const material = decipher.update(wrapped.subarray(1 + ivBytes, wrapped.length - tagBytes))
  try {
    decipher.final()
    return createSecretKey(material)
  } catch {
    return undefined
  } finally {
    material.fill(0)
  }
}

/** Wraps it anew, for another root key. Undefined where `from` does not open it. */
export function rewrapKey(
  wrapped: Buffer,
  boundTo: Buffer,
  from: KeyObject,
  to: KeyObject,
  random: RandomBytes,
): Buffer | undefined {
  const key = unwrapKey(from, boundTo, wrapped)
  if (key === undefined) return undefined
  const material = key.export()
  try {
    return wrapKey(to, boundTo, material, random)
  } finally {
    material.fill(0)
  }
}
