import { hash, timingSafeEqual } from 'node:crypto'
import type { Instant } from '../call.ts'
import { Fault } from '../errors.ts'
import { holdsSecret, isSignedBy, readKey, thumbprintText } from './token-algorithms.ts'
import { type JsonObject, type ParseJson, readSigned } from './token-format.ts'

/** How a proof may be signed, for the challenge and for the metadata. */
export const proofAlgorithms = ['ES256', 'EdDSA', 'PS256', 'RS256'] as const

/** How far from now a proof may say it was made. */
export const proofWindowMs = 60_000
const proofLengthMax = 4_096
const jtiPattern = /^[\x21-\x7e]{1,256}$/

/** What a proof must be about. */
export interface Proven {
  readonly token: string
  /** The thumbprint that the token is bound to. */
  readonly boundTo: string
  readonly verb: string
  /** The canonical address of what was asked for, without query: `htu`. */
  readonly url: string
  readonly requestId: string
  /** Whose token it is, to its issuer: `iss` and `sub`. */
  readonly subject: string
}

export type ProofProblem =
  | 'proof-missing'
  | 'proof-malformed'
  | 'proof-key'
  | 'proof-signature'
  | 'proof-request'
  | 'proof-time'
  | 'proof-token'
  | 'proof-replayed'

/**
 * Whether a proof of possession holds (RFC 9449 §4.3): made with the key that the token is bound to, for this token and this
 * request, now, and not shown before. Answers why not.
 */
export function checkProof(
  proof: string | readonly string[] | undefined,
  about: Proven,
  { parse, replays, now }: { parse: ParseJson; replays: ProofReplays; now: Instant },
): ProofProblem | undefined {
  if (proof === undefined) return 'proof-missing'
  if (typeof proof !== 'string') return 'proof-malformed'
  const read = readSigned(proof, parse, { mayCarryKey: true, lengthMax: proofLengthMax })
  if (typeof read === 'string' || read.type !== 'dpop+jwt') return 'proof-malformed'
  const { header, claims, algorithm } = read
  const { jwk } = header
  if (!(proofAlgorithms as readonly string[]).includes(algorithm)) return 'proof-malformed'
  if (typeof jwk !== 'object' || jwk === null || holdsSecret(jwk as JsonObject)) return 'proof-key'
  const key = readKey(jwk as JsonObject)
  if (key === undefined) return 'proof-key'
  const thumbprint = hash('sha256', thumbprintText(jwk as JsonObject), 'base64url')
  if (!equal(thumbprint, about.boundTo)) return 'proof-key'
  const { jti, htm, htu, iat, ath } = claims
  if (typeof jti !== 'string' || !jtiPattern.test(jti)) return 'proof-malformed'
  if (htm !== about.verb || typeof htu !== 'string' || withoutQuery(htu) !== about.url) return 'proof-request'
  if (typeof iat !== 'number' || !(Math.abs(now - iat * 1_000) <= proofWindowMs)) return 'proof-time'
  if (typeof ath !== 'string' || !equal(ath, hash('sha256', about.token, 'base64url'))) return 'proof-token'
  if (!isSignedBy(key, algorithm, read.signed, read.signature)) return 'proof-signature'
  return replays.take(`${thumbprint} ${jti}`, about.requestId, now, about.subject) ? undefined : 'proof-replayed'
}

function withoutQuery(url: string): string {
  const end = url.search(/[?#]/)
  return end < 0 ? url : url.slice(0, end)
}

function equal(left: string, right: string): boolean {
  return left.length === right.length && timingSafeEqual(Buffer.from(left), Buffer.from(right))
}

/**
 * The proofs that were shown lately to this process. It forgets none that could still be good: where there is no room,
 * nobody is let in (503). One subject fills an eighth of it at most, however many keys it has: a client that shows proofs without
 * end keeps out itself. Other processes are not asked, so a proof that was stolen on its way may be shown once to each.
 */
export class ProofReplays {
  readonly #half: number
  readonly #perSubjectMax: number
  #young = new Map<string, string>()
  /** How many of the young are of whom. */
  #counts = new Map<string, number>()
  #old = new Map<string, string>()
  #since = Number.NEGATIVE_INFINITY

  constructor(max = 200_000) {
    this.#half = Math.floor(max / 2)
    this.#perSubjectMax = Math.ceil(this.#half / 8)
  }

  /** Takes a proof, once. The same request may ask again about its own. */
  take(proof: string, requestId: string, now: Instant, subject: string): boolean {
    // A proof is good for two windows: one before its time and one after.
    if (now - this.#since >= 2 * proofWindowMs) {
      this.#old = this.#young
      this.#young = new Map()
      this.#counts = new Map()
      this.#since = now
    } else if (now < this.#since) {
      // The clock was set back: what was shown may be good for longer, and is kept for as long.
      this.#since = now
    }
    const digest = hash('sha256', proof, 'base64url')
    const shown = this.#young.get(digest) ?? this.#old.get(digest)
    if (shown !== undefined) return shown === requestId
    const count = this.#counts.get(subject) ?? 0
    if (count >= this.#perSubjectMax || this.#young.size >= this.#half)
      throw new Fault('capacity.exceeded', { reason: 'proofs', retryAfterMs: 5_000 })
    this.#young.set(digest, requestId)
    this.#counts.set(subject, count + 1)
    return true
  }
}
