import type { Awaitable, Instant, Principal } from '../call.ts'
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

/** Issues the access tokens of this server. */
export interface Tokens {
  /** Rejects with `Fault('credential.invalid')` where the sign-in does not stand. */
  issue(request: TokenRequest): Promise<IssuedToken>
}
