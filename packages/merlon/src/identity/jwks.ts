import { readKey, type VerificationKey } from './token-algorithms.ts'
import type { JsonObject, ParseJson } from './token-format.ts'

/** Keys beyond these are not looked at. */
const keysMax = 100

/** The keys of a set that can check a signature (RFC 7517 §5), or `undefined` for what is no key set. */
export function readKeySet(bytes: Buffer, parse: ParseJson): readonly VerificationKey[] | undefined {
  const { keys } = readDocument(bytes, parse) ?? {}
  if (!Array.isArray(keys)) return undefined
  return keys.slice(0, keysMax).flatMap((jwk: unknown) => {
    const key = typeof jwk === 'object' && jwk !== null ? readKey(jwk as JsonObject) : undefined
    return key === undefined ? [] : [key]
  })
}

/** The address of the key set in the metadata of an issuer (RFC 8414 §3.2), where it is that issuer's own. */
export function readKeySetAddress(bytes: Buffer, issuer: string, parse: ParseJson): string | undefined {
  const { issuer: named, jwks_uri: address } = readDocument(bytes, parse) ?? {}
  if (named !== issuer || typeof address !== 'string') return undefined
  // Elsewhere than at the issuer's own origin it has to be named in the configuration.
  const url = URL.parse(address)
  return url !== null && url.origin === URL.parse(issuer)?.origin ? url.href : undefined
}

/** Where an issuer's metadata may be: RFC 8414 §3.1, and OpenID Connect Discovery §4.1. */
export function metadataAddresses(issuer: string): readonly string[] {
  const { origin, pathname } = new URL(issuer)
  const path = pathname === '/' ? '' : pathname.replace(/\/$/, '')
  return [
    `${origin}/.well-known/oauth-authorization-server${path}`,
    `${origin}${path}/.well-known/openid-configuration`,
  ]
}

/**
 * The one key that a token can mean: the one it names, or, where it names none, the only one for its algorithm. Two that
 * fit are none: which one is meant is not tried out.
 */
export function selectKey(
  keys: readonly VerificationKey[],
  kid: string | undefined,
  algorithm: string,
): VerificationKey | undefined {
  const fitting = keys.filter((key) => (kid === undefined || key.kid === kid) && key.algorithms.has(algorithm))
  return fitting.length === 1 ? fitting[0] : undefined
}

function readDocument(bytes: Buffer, parse: ParseJson): JsonObject | undefined {
  try {
    const value = parse(bytes)
    return typeof value === 'object' && value !== null ? (value as JsonObject) : undefined
  } catch {
    return undefined
  }
}
