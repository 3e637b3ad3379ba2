import type { Instant } from '../call.ts'
import type { PageQuery, TenantReach } from './reach.ts'
import type { TenantStatus } from './tenant-store.ts'
import type { CredentialUser } from './user-store.ts'

/** Where sign-ins are kept. For what every verb promises, see `key-store.ts`. */
export interface SignInStore {
  /**
   * Refused where the user, or its tenant, is not active, and where the user is no longer the version that was `expected`: it
   * may have another password since. The oldest of a user beyond `signInsMax` ends.
   */
  createSignIn(
    signIn: NewSignIn,
    expected: number | undefined,
    now: Instant,
  ): Promise<'created' | 'user-unknown' | 'changed'>
  /** What a token rests on. Without a tenant: it comes from the record. */
  findSignIn(id: string): Promise<SignInRecord | undefined>
  /** Whether the user has signed in from there and the sign-in is not yet forgotten. */
  hasSignedIn(user: string, address: string, now: Instant): Promise<boolean>
  /** Ended ones included, until they are forgotten. */
  listSignIns(query: SignInQuery): Promise<readonly SignIn[]>
  /** The same revoke twice is one revoke: the first moment stays. */
  revokeSignIn(tenant: TenantReach, id: string, now: Instant): Promise<SignIn | undefined>
  /** Notes that the user showed the second factor in it. `false` where it is not there or has ended. */
  confirmSignIn(tenant: TenantReach, id: string, now: Instant): Promise<boolean>
  /** Ends all of a user but `keep`. Answers how many there were. */
  revokeSignIns(tenant: TenantReach, user: string, keep: string | undefined, now: Instant): Promise<number>
}

export interface NewSignIn {
  readonly id: string
  readonly tenant: string
  /** The id of the user. */
  readonly user: string
  readonly expiresAt: Instant
  /** From where: an IPv4 address, or the network of an IPv6 one. */
  readonly address: string | undefined
  /** When the user showed the second factor in it last. */
  readonly confirmedAt?: Instant | undefined
}

export interface SignIn extends NewSignIn {
  readonly createdAt: Instant
  readonly revokedAt: Instant | undefined
}

/** A sign-in with all that decides whether it is good. */
export interface SignInRecord extends SignIn {
  readonly holder: CredentialUser
  /** Whether the holder has a second factor now. */
  readonly hasSecondFactor: boolean
  readonly tenantStatus: TenantStatus
  /** What the tenant is limited to; `undefined`: nothing. */
  readonly tenantScopes: readonly string[] | undefined
}

export interface SignInQuery extends PageQuery {
  /** The id of the user. */
  readonly user?: string
}

/** How many sign-ins of one user may be open; the oldest beyond them ends. */
export const signInsMax = 100
/** How many of one user are remembered, ended ones included, and for how long after they were opened. */
export const signInsKeptMax = 200
export const signInKeptMs = 30 * 86_400_000
