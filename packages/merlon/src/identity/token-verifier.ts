import { hash } from 'node:crypto'
import type { Awaitable, Clock, Instant } from '../call.ts'
import type { TrustedIssuer } from './issuer.ts'
import { Recent } from './recent.ts'
import { type Admissible, type AdmissionParts, admitShown, refusedToken as refused } from './token-admission.ts'
import { isSignedBy, type VerificationKey } from './token-algorithms.ts'
import { type HeldClaims, holdClaims } from './token-claims.ts'
import { readSigned, type SignedText } from './token-format.ts'
import type { Door, Scheme, Shown, Verdict } from './verdict.ts'

export interface TokenVerifierParts extends AdmissionParts {
  readonly door: Door
  /** Whose tokens are taken. Our own issuer has its name once the server listens. */
  readonly issuers: () => Iterable<TrustedIssuer>
  /** Whether a text that is almost a token may be looked at by something else: only where no other issuer is trusted. */
  readonly leavesMalformed: boolean
  readonly clock: Clock
  /** How many tokens are remembered. Default 10,000. */
  readonly rememberedMax?: number
}

/** A verified token is verified again after so long: its key may have left the key set of its issuer. */
export const rememberedMs = 300_000

/** Why a text was not judged: it is no token, or one of an issuer that is not known here. */
export type NotOurs = 'malformed' | 'token-issuer'

interface Remembered extends Admissible {
  readonly issuer: TrustedIssuer
  readonly verifiedAt: Instant
  readonly until: Instant
}

/**
 * Answers who a token stands for. What a signature proves is remembered; whether the subject still stands is asked on every
 * call, and a proof of possession is checked on every call. A text that is not a token of an issuer known here gets no verdict
 * but the reason, so that something else may look at it.
 */
export class TokenVerifier {
  readonly #parts: TokenVerifierParts
  readonly #memory: Recent<Remembered>

  constructor(parts: TokenVerifierParts) {
    this.#parts = parts
    this.#memory = new Recent(parts.rememberedMax ?? 10_000)
  }

  /** Throws or rejects with a Fault of ours, and never for what a text says. */
  verify(text: string, scheme: Scheme, shown: Shown): Awaitable<Verdict> | NotOurs {
    const now = this.#parts.clock()
    const digest = hash('sha256', text)
    const known = this.#memory.get(digest)
    if (known !== undefined && now >= known.verifiedAt && now < known.until)
      return this.#admit(known, text, scheme, shown, now)
    const read = readSigned(text, this.#parts.parse)
    if (read === 'parts') return 'malformed'
    if (typeof read === 'string') return this.#parts.leavesMalformed ? 'malformed' : refused(read)
    const issuer = this.#issuerOf(read)
    return issuer === undefined ? 'token-issuer' : this.#check(text, digest, read, issuer, scheme, shown, now)
  }

  /** Forgets what was verified: a key was withdrawn before its time. */
  forget(): void {
    this.#memory.clear()
  }

  #issuerOf({ claims }: SignedText): TrustedIssuer | undefined {
    for (const issuer of this.#parts.issuers()) if (issuer.issuer === claims['iss']) return issuer
    return undefined
  }

  #check(
    text: string,
    digest: string,
    read: SignedText,
    issuer: TrustedIssuer,
    scheme: Scheme,
    shown: Shown,
    now: Instant,
  ): Awaitable<Verdict> {
    // What costs nothing comes first; a signature is only checked of what would be good if it held.
    if (!issuer.algorithms.has(read.algorithm)) return refused('algorithm')
    if (read.type === undefined ? !issuer.untyped : !issuer.types.has(read.type)) return refused('type')
    const audience = issuer.audience(this.#parts.door)
    if (audience === undefined) return refused('audience')
    const held = holdClaims(read.claims, { ...issuer, audience }, now)
    if (typeof held === 'string') return refused(held)
    if (issuer.bound && held.binding?.to !== 'key') return refused('unbound')
    const finish = (key: VerificationKey | undefined): Awaitable<Verdict> => {
      if (key === undefined) return refused('key')
      if (!isSignedBy(key, read.algorithm, read.signed, read.signature)) return refused('signature')
      const verified = this.#remember(digest, read, issuer, held, now)
      return this.#admit(verified, text, scheme, shown, now)
    }
    const key = issuer.find(read.kid, read.algorithm)
    return key instanceof Promise ? key.then(finish) : finish(key)
  }

  #remember(digest: string, { claims }: SignedText, issuer: TrustedIssuer, held: HeldClaims, now: Instant): Remembered {
    const verified: Remembered = {
      issuer,
      verifiedAt: now,
      until: Math.min(held.endsAt, now + rememberedMs),
      binding: held.binding,
      subject: `${issuer.issuer} ${held.subject}`,
      standing: issuer.place(claims, held),
    }
    this.#memory.set(digest, verified)
    return verified
  }

  #admit(known: Remembered, text: string, scheme: Scheme, shown: Shown, now: Instant): Awaitable<Verdict> {
    return admitShown(known, { text, scheme, shown }, this.#parts, now)
  }
}
