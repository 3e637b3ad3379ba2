import type { Awaitable, Clock, Instant, Principal, RandomBytes } from '../call.ts'
import { Fault } from '../errors.ts'
import { meet, scopeSet } from '../policy/scopes.ts'
import type { Doors } from './doors.ts'
import type { Standing, TrustedIssuer } from './issuer.ts'
import { narrowed } from './principal.ts'
import type { SigningKeys } from './signing-keys.ts'

import type { HeldClaims } from './token-claims.ts'
import type { JsonObject } from './token-format.ts'
import type { Door, Verdict } from './verdict.ts'

/** What a sign-in is worth now. Answers from memory only while a poll of the store vouches for it. */
export interface SignInStanding {
  standing(signIn: string, now: Instant): Awaitable<Verdict>
}

export interface TokenRequest {
  /** The id of the sign-in that the token is for. It must stand. */
  readonly signIn: string
  /** The door that the token opens. */
  readonly door: Door
  /** Fewer than the principal of the sign-in may do; more is cut. Default: all of it. */
  readonly scopes?: readonly string[] | undefined
}

export interface IssuedToken {
  readonly token: string
  readonly expiresAt: Instant
  readonly scopes: readonly string[]
  readonly principal: Principal
}

export interface TokensParts {
  readonly keys: SigningKeys
  readonly signIns: SignInStanding
  readonly doors: Doors
  readonly random: RandomBytes
  readonly clock: Clock
  readonly lifetimeMs: number
}

/** The clocks of servers that share a store may differ by so much. */
const skewMs = 5_000
const signInPattern = /^sgn_[0-9A-Za-z]{1,64}$/

/**
 * Issues access tokens for sign-ins (RFC 9068), and says what is asked of those that are shown. A token ends with its sign-in;
 * it is renewed by issuing another for the same sign-in, which itself is never made longer.
 */
export class Tokens {
  readonly #parts: TokensParts

  constructor(parts: TokensParts) {
    this.#parts = parts
  }

  /** Rejects with `Fault('credential.invalid')` where the sign-in does not stand. */
  async issue({ signIn, door, scopes }: TokenRequest): Promise<IssuedToken> {
    const { keys, signIns, doors, random, clock, lifetimeMs } = this.#parts
    const now = clock()
    const verdict = await signIns.standing(signIn, now)
    if (!verdict.ok) throw new Fault('credential.invalid', { reason: verdict.reason, credential: verdict.credential })
    const { principal } = verdict
    const issuer = doors.issuer
    const audience = doors.resource(door)
    if (issuer === undefined || audience === undefined) throw new Error(`the ${door} door is not open`)
    const effective = scopes === undefined ? principal.effective : meet(scopeSet(scopes), principal.effective)
    const granted = [...effective].sort()
    const issuedAt = Math.floor(now / 1_000)
    const endsAt = Math.min(issuedAt + Math.floor(lifetimeMs / 1_000), Math.floor(principal.expiresAt / 1_000))
    const token = keys.sign({
      iss: issuer,
      aud: audience,
      sub: principal.id,
      client_id: 'merlon',
      iat: issuedAt,
      exp: endsAt,
      jti: random(16).toString('base64url'),
      sid: signIn,
      tenant: principal.tenant,
      role: principal.role,
      scope: granted.join(' '),
    })
    return { token, expiresAt: endsAt * 1_000, scopes: granted, principal }
  }

  /** Ourselves as an issuer; `undefined` until the server listens. */
  asIssuer(): TrustedIssuer | undefined {
    const { doors } = this.#parts
    if (doors.issuer === undefined) return undefined
    if (this.#issuer?.issuer !== doors.issuer) this.#issuer = this.#trusted(doors.issuer)
    return this.#issuer
  }

  #issuer: TrustedIssuer | undefined

  #trusted(issuer: string): TrustedIssuer {
    const { keys, doors, lifetimeMs } = this.#parts
    return {
      issuer,
      algorithms: new Set(['ES256']),
      types: new Set(['at+jwt']),
      untyped: false,
      audience: (door) => doors.resource(door),
      skewMs,
      lifetimeMsMax: lifetimeMs,
      required: new Map(),
      bound: false,
      find: (kid) => keys.find(kid),
      place: (claims, held) => this.#place(claims, held),
    }
  }

  /** A token is worth what its sign-in is worth at this moment, narrowed to what the token says. */
  #place(claims: JsonObject, held: HeldClaims): Standing {
    const { sid, tenant, scope } = claims
    if (typeof sid !== 'string' || !signInPattern.test(sid) || typeof tenant !== 'string' || typeof scope !== 'string')
      return () => ({ ok: false, reason: 'token-claims', credential: undefined })
    const scopes = scope.split(' ')
    let base: Verdict | undefined
    let narrow: Verdict | undefined
    const judge = (verdict: Verdict): Verdict => {
      if (!verdict.ok) return verdict
      if (verdict === base && narrow !== undefined) return narrow
      const { principal } = verdict
      if (principal.id !== held.subject || principal.tenant !== tenant)
        return { ok: false, reason: 'token-subject', credential: sid }
      base = verdict
      narrow = Object.freeze({ ok: true, principal: narrowed(principal, scopes, held.endsAt) })
      return narrow
    }
    const { signIns } = this.#parts
    return (now) => {
      const verdict = signIns.standing(sid, now)
      return verdict instanceof Promise ? verdict.then(judge) : judge(verdict)
    }
  }
}
