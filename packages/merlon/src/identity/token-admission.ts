import type { Awaitable, Instant } from '../call.ts'
import { checkProof, type ProofReplays } from './dpop.ts'
import type { Standing } from './issuer.ts'
import type { Binding } from './token-claims.ts'
import type { ParseJson } from './token-format.ts'
import type { Scheme, Shown, Verdict } from './verdict.ts'

/** A token that was found good, whoever shows it. */
export interface Admissible {
  readonly binding: Binding | undefined
  /** `iss` and `sub`. */
  readonly subject: string
  readonly standing: Standing
}

/** How a token was shown. */
export interface ShownToken {
  readonly text: string
  readonly scheme: Scheme
  readonly shown: Shown
}

export interface AdmissionParts {
  /** The address of the door without path, for the proofs of those who call it. */
  readonly origin: () => string
  readonly parse: ParseJson
  readonly replays: ProofReplays
}

/**
 * What a good token is worth to whoever shows it now: what it is bound to is asked of every call, and so is whether its subject
 * still stands. What is bound is never good as a bearer token.
 */
export function admitShown(
  known: Admissible,
  { text, scheme, shown }: ShownToken,
  { origin, parse, replays }: AdmissionParts,
  now: Instant,
): Awaitable<Verdict> {
  const { binding } = known
  if (binding?.to !== 'key') {
    if (scheme !== 'bearer') return refusedToken('scheme')
    // The connection is the proof: whoever opened it has the key of the certificate.
    if (binding !== undefined && shown.head.certificateThumbprint !== binding.thumbprint)
      return refusedToken('certificate')
    return known.standing(now)
  }
  if (scheme === 'proven') return known.standing(now)
  // A bound token without its proof is a stolen one for all we know (RFC 9449 §7.1).
  if (scheme !== 'dpop') return refusedToken('scheme')
  const { verb, path, headers } = shown.head
  const { requestId } = shown
  const about = {
    token: text,
    boundTo: binding.thumbprint,
    subject: known.subject,
    verb,
    url: `${origin()}${path}`,
    requestId,
  }
  const problem = checkProof(headers['dpop'], about, { parse, replays, now })
  return problem === undefined ? known.standing(now) : refusedToken(problem)
}

/** Refuses a token, for a reason that stands in the record alone. */
export function refusedToken(reason: string): Verdict & { readonly ok: false } {
  return { ok: false, reason: `token-${reason}`, credential: undefined }
}
