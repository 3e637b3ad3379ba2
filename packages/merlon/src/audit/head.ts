import { createPublicKey, hash, type KeyObject, sign, verify } from 'node:crypto'
import type { Instant } from '../call.ts'

/**
 * What is signed of a log from time to time: how many records it has, and the root of the tree over them. Whoever keeps a
 * head can later tell whether the log still begins with the very same records.
 */
export interface TreeHead {
  /** The identity of the log. */
  readonly log: string
  readonly size: number
  readonly root: string
  /** When it was signed, in UTC. */
  readonly at: string
}

export interface SignedHead extends TreeHead {
  /** Names the key. */
  readonly keyId: string
  /** Ed25519 over the text of the head (RFC 8032), base64url. */
  readonly signature: string
}

/** Signs heads of logs. */
export interface HeadSigner {
  readonly keyId: string
  readonly publicKey: KeyObject
  sign(log: string, size: number, root: string, at: Instant): SignedHead
}

/** What the signature covers: no other text that we sign begins like this, and no member can hold a line end. */
function headText({ log, size, root, at }: TreeHead): Buffer {
  return Buffer.from(`merlon audit head 1\n${log}\n${size}\n${root}\n${at}\n`)
}

/** Names a public key: the beginning of the digest of its SPKI form. */
export function publicKeyId(key: KeyObject): string {
  return hash('sha256', key.export({ type: 'spki', format: 'der' }), 'base64url').slice(0, 16)
}

export function headSigner(privateKey: KeyObject): HeadSigner {
  const publicKey = createPublicKey(privateKey)
  const keyId = publicKeyId(publicKey)
  return {
    keyId,
    publicKey,
    sign(log, size, root, at) {
      const head = { log, size, root, at: new Date(at).toISOString() }
      return { ...head, keyId, signature: sign(null, headText(head), privateKey).toString('base64url') }
    },
  }
}

const shapes = {
  log: /^[0-9a-f]{32}$/,
  root: /^[A-Za-z0-9_-]{43}$/,
  at: /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/,
  keyId: /^[A-Za-z0-9_-]{16}$/,
  signature: /^[A-Za-z0-9_-]{86}$/,
} as const

/** A head from outside, or `undefined`. What it says is not proved before `isSigned` is true. */
export function parseHead(value: unknown): SignedHead | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const given = value as Readonly<Record<string, unknown>>
  for (const [name, shape] of Object.entries(shapes)) {
    const member = given[name]
    if (typeof member !== 'string' || !shape.test(member)) return undefined
  }
  const { log, size, root, at, keyId, signature } = given as unknown as SignedHead
  if (!Number.isSafeInteger(size) || size < 0) return undefined
  return { log, size, root, at, keyId, signature }
}

/** Whether this key signed exactly this head. */
export function isSigned(head: SignedHead, publicKey: KeyObject): boolean {
  return verify(null, headText(head), publicKey, Buffer.from(head.signature, 'base64url'))
}
