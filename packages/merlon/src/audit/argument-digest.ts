import { createHmac, type KeyObject } from 'node:crypto'

/**
 * What a record says of the arguments of a call, as members: how long their JSON text is, and its digest under a key of this
 * installation (HMAC-SHA-256). Equal texts can be recognised; without the key a digest does not tell whether a guess is right.
 */
export function argumentDigest(key: KeyObject): (text: string) => string {
  return (text) => {
    const digest = createHmac('sha256', key).update(text).digest('base64url')
    return `"argumentBytes":${Buffer.byteLength(text)},"argumentDigest":"${digest}"`
  }
}
