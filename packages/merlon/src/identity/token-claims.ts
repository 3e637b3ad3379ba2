import type { Instant } from '../call.ts'
import type { JsonObject } from './token-format.ts'

/** What is demanded of the claims of a token, whoever issued it. */
export interface ClaimRules {
  readonly issuer: string
  /** The canonical address of the door at which the token is shown (RFC 8707). */
  readonly audience: string
  readonly skewMs: number
  readonly lifetimeMsMax: number
  /** Claims that must have exactly this text. */
  readonly required: ReadonlyMap<string, string>
}

/** What whoever shows a token must have: a key (RFC 9449 §6.1), or a client certificate (RFC 8705 §3.1), by its thumbprint. */
export interface Binding {
  readonly to: 'key' | 'certificate'
  readonly thumbprint: string
}

/** Claims that hold. */
export interface HeldClaims {
  readonly subject: string
  /** When the token ends, the allowance for clocks that differ included. */
  readonly endsAt: Instant
  readonly binding: Binding | undefined
}

export type ClaimProblem =
  | 'issuer'
  | 'audience'
  | 'times'
  | 'expired'
  | 'not-yet'
  | 'lifetime'
  | 'subject'
  | 'required-claim'
  | 'binding'

/** What `sub` may be: it stands in records and names. */
export const subjectPattern = /^[\x21-\x7e]{1,255}$/
const thumbprintPattern = /^[A-Za-z0-9_-]{43}$/
/** The last second of the year 9999. */
const secondsMax = 253_402_300_799

/** Whether the claims are meant for us and for now (RFC 7519 §4.1, RFC 9068 §4). What they grant is not looked at. */
export function holdClaims(claims: JsonObject, rules: ClaimRules, now: Instant): HeldClaims | ClaimProblem {
  const { iss, aud, sub, exp, nbf, iat, cnf } = claims
  if (iss !== rules.issuer) return 'issuer'
  if (!(aud === rules.audience || (Array.isArray(aud) && aud.includes(rules.audience)))) return 'audience'
  if (!isTime(exp) || !(nbf === undefined || isTime(nbf)) || !(iat === undefined || isTime(iat))) return 'times'
  if (iat !== undefined && exp <= iat) return 'times'
  const endsAt = Math.floor(exp * 1_000) + rules.skewMs
  if (now >= endsAt) return 'expired'
  if (Math.max(nbf ?? 0, iat ?? 0) * 1_000 > now + rules.skewMs) return 'not-yet'
  // Without a time of issue it counts as issued now.
  if (exp * 1_000 - (iat === undefined ? now : iat * 1_000) > rules.lifetimeMsMax) return 'lifetime'
  if (typeof sub !== 'string' || !subjectPattern.test(sub)) return 'subject'
  for (const [name, text] of rules.required) {
    if (!Object.hasOwn(claims, name) || claims[name] !== text) return 'required-claim'
  }
  const binding = bindingIn(cnf)
  return binding === 'binding' ? binding : { subject: sub, endsAt, binding }
}

/** What a token is bound to, `undefined` where it is bound to nothing. Bound to anything else it is refused: we could not ask for the proof. */
function bindingIn(cnf: unknown): Binding | undefined | 'binding' {
  if (cnf === undefined) return undefined
  if (typeof cnf !== 'object' || cnf === null || Array.isArray(cnf)) return 'binding'
  const entries = Object.entries(cnf as JsonObject)
  const [name, thumbprint] = entries[0] ?? []
  const to = name === 'jkt' ? 'key' : name === 'x5t#S256' ? 'certificate' : undefined
  if (entries.length !== 1 || to === undefined) return 'binding'
  if (typeof thumbprint !== 'string' || !thumbprintPattern.test(thumbprint)) return 'binding'
  return { to, thumbprint }
}

function isTime(value: unknown): value is number {
  return typeof value === 'number' && value >= 0 && value <= secondsMax
}
