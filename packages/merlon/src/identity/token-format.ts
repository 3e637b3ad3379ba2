import { decodeCanonical } from '../canonical-base64.ts'

/** Decodes one JSON text, or throws: for what is not JSON in UTF-8, or says a key twice. */
export type ParseJson = (bytes: Buffer) => unknown

/** A signed token in compact form, read and not believed (RFC 7515 §3.1). */
export interface SignedText {
  readonly algorithm: string
  /** Lower-case; `undefined` where the header has none. */
  readonly type: string | undefined
  readonly kid: string | undefined
  readonly header: JsonObject
  readonly claims: JsonObject
  /** What the signature covers. */
  readonly signed: Buffer
  readonly signature: Buffer
}

export type JsonObject = Readonly<Record<string, unknown>>

/** Why a text is not a token that could be checked: for the audit record alone. */
export type FormatProblem = 'length' | 'parts' | 'base64' | 'json' | 'header' | 'algorithm' | 'key-id'

export const tokenLengthMax = 8_192
const kidPattern = /^[\x21-\x7e]{1,256}$/

/**
 * Headers by which a token would say for itself how it is to be checked, or where the key is. The key is found by `kid` in
 * the key set of its issuer and nowhere else (RFC 8725 §3.10).
 */
const tellingHeaders = ['crit', 'jku', 'x5u', 'x5c', 'jwk', 'b64', 'zip', 'enc'] as const

/**
 * Reads a token before any cryptography: three parts in the one spelling that base64url has, and two JSON objects without a
 * repeated key. `mayCarryKey` is for proofs of possession, which bring their key along.
 */
export function readSigned(
  text: string,
  parse: ParseJson,
  { mayCarryKey = false, lengthMax = tokenLengthMax }: { mayCarryKey?: boolean; lengthMax?: number } = {},
): SignedText | FormatProblem {
  if (text.length > lengthMax) return 'length'
  const first = text.indexOf('.')
  const second = text.indexOf('.', first + 1)
  if (first < 1 || second < first + 2 || second === text.length - 1 || text.includes('.', second + 1)) return 'parts'
  const headerBytes = decodeCanonical(text.slice(0, first), 'base64url')
  const claimBytes = decodeCanonical(text.slice(first + 1, second), 'base64url')
  const signature = decodeCanonical(text.slice(second + 1), 'base64url')
  if (headerBytes === undefined || claimBytes === undefined || signature === undefined) return 'base64'
  const header = readObject(headerBytes, parse)
  const claims = readObject(claimBytes, parse)
  if (header === undefined || claims === undefined) return 'json'
  if (tellingHeaders.some((name) => Object.hasOwn(header, name) && !(mayCarryKey && name === 'jwk'))) return 'header'
  const { alg, typ, kid } = header
  if (typeof alg !== 'string') return 'algorithm'
  if (typ !== undefined && typeof typ !== 'string') return 'header'
  if (kid !== undefined && (typeof kid !== 'string' || !kidPattern.test(kid))) return 'key-id'
  return {
    algorithm: alg,
    type: typ?.toLowerCase(),
    kid,
    header,
    claims,
    signed: Buffer.from(text.slice(0, second), 'latin1'),
    signature,
  }
}

function readObject(bytes: Buffer, parse: ParseJson): JsonObject | undefined {
  try {
    const value = parse(bytes)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : undefined
  } catch {
    return undefined
  }
}
