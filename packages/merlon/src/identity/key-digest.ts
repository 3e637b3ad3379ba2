import { createHmac, type KeyObject } from 'node:crypto'

/** The stored form of a key: 32 bytes that are of no use without the pepper. */
export type KeyDigest = (text: string) => Buffer

/** HMAC-SHA-256 under the pepper. The secret is 256 random bits, so a slow hash would add cost and no strength. */
export function keyDigest(pepper: KeyObject): KeyDigest {
  return (text) => createHmac('sha256', pepper).update(text).digest()
}

/** Names a pepper without telling it, so that a record says which one its digest was made with. */
export function pepperId(pepper: KeyObject): string {
  return createHmac('sha256', pepper).update('merlon pepper id').digest('hex').slice(0, 16)
}
