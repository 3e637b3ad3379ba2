import { createHash, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import type { Principal } from '../call.ts'
import { scopeSet } from '../policy/scopes.ts'
import { parseJson } from '../wire/json.ts'
import type { FetchDocument } from './jwks-fetch.ts'
import type { SigningKey, SigningKeyStore } from './signing-key-store.ts'
import type { JsonObject } from './token-format.ts'
import type { Shown } from './verdict.ts'

/** When it is in tests of tokens. */
export const now = 1_800_000_000_000
export const seconds = now / 1_000

export const parse = (bytes: Buffer): unknown => parseJson(bytes, { depthMax: 16, nodesMax: 2_000 })

/** A key pair of a test, and how its public part is published. */
export interface Pair {
  readonly kid: string
  readonly alg: string
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
  readonly jwk: JsonObject
}

export function pairOf(kid: string, alg: 'ES256' | 'RS256' | 'PS256' | 'EdDSA' = 'ES256'): Pair {
  const { privateKey, publicKey } =
    alg === 'ES256'
      ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
      : alg === 'EdDSA'
        ? generateKeyPairSync('ed25519')
        : generateKeyPairSync('rsa', { modulusLength: 2_048 })
  return { kid, alg, privateKey, publicKey, jwk: { ...publicKey.export({ format: 'jwk' }), kid, alg, use: 'sig' } }
}

const encode = (value: unknown): string =>
  (Buffer.isBuffer(value) ? value : Buffer.from(typeof value === 'string' ? value : JSON.stringify(value))).toString(
    'base64url',
  )

/** Signs whatever is given: objects, or JSON text as it stands. */
export function signed(pair: Pair, header: JsonObject | string, claims: JsonObject | string): string {
  const text = `${encode(header)}.${encode(claims)}`
  const bytes = Buffer.from(text)
  const signature =
    pair.alg === 'ES256'
      ? sign('sha256', bytes, { key: pair.privateKey, dsaEncoding: 'ieee-p1363' })
      : pair.alg === 'EdDSA'
        ? sign(null, bytes, pair.privateKey)
        : sign(
            'sha256',
            bytes,
            pair.alg === 'PS256' ? { key: pair.privateKey, padding: 6, saltLength: -1 } : pair.privateKey,
          )
  return `${text}.${signature.toString('base64url')}`
}

export const issuerUrl = 'https://id.example'
export const resource = 'https://mcp.example/mcp'

/** Claims that are good at the MCP endpoint. */
export function claimsWith(more: JsonObject = {}): JsonObject {
  return { iss: issuerUrl, aud: resource, sub: 'ann', iat: seconds, exp: seconds + 300, scope: 'read write', ...more }
}

/** A token that is good unless told otherwise. */
export function tokenOf(pair: Pair, claims: JsonObject = {}, header: JsonObject = {}): string {
  return signed(pair, { alg: pair.alg, typ: 'at+jwt', kid: pair.kid, ...header }, claimsWith(claims))
}

/** A proof of possession (RFC 9449 §4.2) that is good unless told otherwise. */
export function proofOf(pair: Pair, token: string, claims: JsonObject = {}, header: JsonObject = {}): string {
  const { kid: _kid, alg: _alg, use: _use, ...jwk } = pair.jwk
  return signed(
    pair,
    { alg: pair.alg, typ: 'dpop+jwt', jwk, ...header },
    {
      jti: 'proof-1',
      htm: 'POST',
      htu: resource,
      iat: seconds,
      ath: createHash('sha256').update(token).digest('base64url'),
      ...claims,
    },
  )
}

/** The thumbprint of a key of P-256 (RFC 7638 §3.1). */
export function thumbprintOf({ jwk }: Pair): string {
  const text = `{"crv":"P-256","kty":"EC","x":"${jwk['x']}","y":"${jwk['y']}"}`
  return createHash('sha256').update(text).digest('base64url')
}

export function keySetOf(...pairs: readonly Pair[]): Buffer {
  return Buffer.from(JSON.stringify({ keys: pairs.map(({ jwk }) => jwk) }))
}

/** Answers what is published at an address, and counts who asks. */
export class Published {
  readonly asked: string[] = []
  readonly documents = new Map<string, Buffer | Error>()
  maxAgeMs: number | undefined

  readonly fetch: FetchDocument = async (url) => {
    this.asked.push(url)
    const found = this.documents.get(url)
    if (found === undefined) throw new Error(`${url}: answered 404`)
    if (found instanceof Error) throw found
    return { bytes: found, maxAgeMs: this.maxAgeMs }
  }
}

export function shownWith(headers: Record<string, string> = {}, requestId = 'r1'): Shown {
  return { address: '192.0.2.1', requestId, head: { verb: 'POST', path: '/mcp', headers } }
}

export function userWith(more: Partial<Principal> = {}): Principal {
  return Object.freeze({
    id: 'usr_ann',
    kind: 'user',
    tenant: 'a',
    credential: 'sgn_1',
    role: 'user',
    granted: scopeSet(['read', 'write']),
    effective: scopeSet(['read', 'write']),
    expiresAt: now + 43_200_000,
    binding: 'a\nuser\nusr_ann\nsign-in',
    ...more,
  })
}

/** Signing keys in the memory of one process. */
export class SigningKeysInMemory implements SigningKeyStore {
  keys: SigningKey[] = []
  down = false

  async addSigningKey(
    key: Omit<SigningKey, 'createdAt' | 'retiredAt' | 'destroyedAt'>,
    newest: string | undefined,
    at: number,
  ) {
    this.#check()
    if (this.keys.at(-1)?.id !== newest) return false
    this.keys.push({ ...key, createdAt: at, retiredAt: undefined, destroyedAt: undefined })
    return true
  }

  async listSigningKeys() {
    this.#check()
    return [...this.keys]
  }

  async retireSigningKey(id: string, at: number) {
    this.#check()
    this.#change(id, (key) => ({ ...key, retiredAt: key.retiredAt ?? at }))
    return this.keys.find((key) => key.id === id)
  }

  async destroySigningKey(id: string, at: number) {
    this.#check()
    let destroyed = false
    this.#change(id, (key) => {
      if (key.retiredAt === undefined) return key
      destroyed = true
      return { ...key, sealed: undefined, destroyedAt: key.destroyedAt ?? at }
    })
    return destroyed
  }

  #change(id: string, change: (key: SigningKey) => SigningKey) {
    this.keys = this.keys.map((key) => (key.id === id ? change(key) : key))
  }

  #check() {
    if (this.down) throw new Error('the store is out of reach')
  }
}
