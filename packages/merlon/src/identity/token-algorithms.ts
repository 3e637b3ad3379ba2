import { constants, createPublicKey, type KeyObject, type VerifyKeyObjectInput, verify } from 'node:crypto'
import type { JsonObject } from './token-format.ts'

/**
 * The ways a token may be signed: all of them with a key pair. That a secret or nothing at all could sign is not a setting
 * that is off, it is not here.
 */
interface Algorithm {
  readonly type: 'EC' | 'RSA' | 'OKP'
  readonly curve?: string
  readonly hash: 'sha256' | 'sha384' | 'sha512' | null
  readonly options: Omit<VerifyKeyObjectInput, 'key'>
  /** Of the signature, where it is fixed. */
  readonly bytes?: number
}

const pair = { dsaEncoding: 'ieee-p1363' } as const
const plain = { padding: constants.RSA_PKCS1_PADDING } as const
const pss = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST } as const

const algorithms: ReadonlyMap<string, Algorithm> = new Map<string, Algorithm>([
  ['ES256', { type: 'EC', curve: 'P-256', hash: 'sha256', options: pair, bytes: 64 }],
  ['ES384', { type: 'EC', curve: 'P-384', hash: 'sha384', options: pair, bytes: 96 }],
  ['ES512', { type: 'EC', curve: 'P-521', hash: 'sha512', options: pair, bytes: 132 }],
  ['RS256', { type: 'RSA', hash: 'sha256', options: plain }],
  ['RS384', { type: 'RSA', hash: 'sha384', options: plain }],
  ['RS512', { type: 'RSA', hash: 'sha512', options: plain }],
  ['PS256', { type: 'RSA', hash: 'sha256', options: pss }],
  ['PS384', { type: 'RSA', hash: 'sha384', options: pss }],
  ['PS512', { type: 'RSA', hash: 'sha512', options: pss }],
  ['EdDSA', { type: 'OKP', curve: 'Ed25519', hash: null, options: {}, bytes: 64 }],
])

/** The members that make up a public key, in the order of RFC 7638 §3.2. Nothing else of a JWK is looked at. */
const publicMembers = { EC: ['crv', 'kty', 'x', 'y'], RSA: ['e', 'kty', 'n'], OKP: ['crv', 'kty', 'x'] } as const

const rsaBitsMin = 2_048
/** Larger ones only cost time to check with. */
const rsaBitsMax = 8_192

/** A public key, and which algorithms it may be used with. */
export interface VerificationKey {
  readonly kid: string | undefined
  readonly algorithms: ReadonlySet<string>
  readonly key: KeyObject
}

/**
 * Reads one JWK (RFC 7517 §4), or answers `undefined` for what cannot check a signature here: a secret, another kind, a key
 * for encryption, an RSA key of less than 2048 bits.
 */
export function readKey(jwk: JsonObject): VerificationKey | undefined {
  const { kty, kid, use, alg, key_ops: operations } = jwk
  if (kty !== 'EC' && kty !== 'RSA' && kty !== 'OKP') return undefined
  if (kid !== undefined && typeof kid !== 'string') return undefined
  if (use !== undefined && use !== 'sig') return undefined
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes('verify'))) return undefined
  const usable = new Set<string>()
  for (const [name, { type, curve }] of algorithms) {
    if (type !== kty || (curve !== undefined && curve !== jwk['crv'])) continue
    if (alg === undefined || alg === name) usable.add(name)
  }
  const key = usable.size === 0 ? undefined : importKey(kty, jwk)
  return key === undefined ? undefined : { kid, algorithms: usable, key }
}

function importKey(kty: keyof typeof publicMembers, jwk: JsonObject): KeyObject | undefined {
  const members: Record<string, string> = {}
  for (const name of publicMembers[kty]) {
    const value = jwk[name]
    if (typeof value !== 'string') return undefined
    members[name] = value
  }
  try {
    const key = createPublicKey({ key: members, format: 'jwk' })
    const bits = key.asymmetricKeyDetails?.modulusLength
    return bits !== undefined && (bits < rsaBitsMin || bits > rsaBitsMax) ? undefined : key
  } catch {
    return undefined
  }
}

/** The text that a key's thumbprint is the digest of (RFC 7638 §3), for a key that `readKey` takes. */
export function thumbprintText(jwk: JsonObject): string {
  const members = publicMembers[jwk['kty'] as keyof typeof publicMembers]
  return JSON.stringify(Object.fromEntries(members.map((name) => [name, jwk[name]])))
}

/** Whether a JWK holds more than a public key. */
export function holdsSecret(jwk: JsonObject): boolean {
  return ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k', 'priv'].some((name) => Object.hasOwn(jwk, name))
}

/** Whether the signature is that of the key over these bytes. Never throws. */
export function isSignedBy(key: VerificationKey, algorithm: string, signed: Buffer, signature: Buffer): boolean {
  const known = algorithms.get(algorithm)
  if (known === undefined || !key.algorithms.has(algorithm)) return false
  if (known.bytes !== undefined && signature.length !== known.bytes) return false
  try {
    return verify(known.hash, signed, { ...known.options, key: key.key }, signature)
  } catch {
    return false
  }
}
