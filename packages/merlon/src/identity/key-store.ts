import type { Instant } from '../call.ts'
import type { TenantReach } from './reach.ts'

export { checkReach, everyTenant, type TenantReach } from './reach.ts'

/**
 * Where tenants, users and API keys are kept. Every verb is one atomic act and is durable when it answers. Not there is
 * `undefined`, refused is a value, out of reach is `Fault('store.unavailable')`: an outage never reads as a missing key.
 *
 * Every act that changes what a credential may do moves one counter, the revision, in the same act. Acts take turns at the
 * counter, so a reader that has seen revision n has seen every change up to n.
 */
export interface KeyStore {
  /** Makes the tenant if it is not there. Answers whether it was made now. */
  ensureTenant(tenant: string, now: Instant): Promise<boolean>

  createUser(user: User, now: Instant): Promise<'created' | 'tenant-unknown' | 'name-taken'>
  findUser(tenant: string, name: string): Promise<User | undefined>
  /** Answers whether there is such a user. The keys of a disabled user are refused. */
  setUserStatus(tenant: string, user: string, status: UserStatus, now: Instant): Promise<boolean>

  /** The owner must be in the key's tenant. A name is free when none of the owner's keys that are not revoked has it. */
  createKey(key: NewKey, now: Instant): Promise<'created' | 'owner-unknown' | 'name-taken'>
  /** What authentication needs. The one verb without a tenant: the tenant comes from the record it finds. */
  findKey(id: string): Promise<KeyRecord | undefined>
  /** A page of keys, revoked ones included, in the order of their ids. A page shorter than `limit` is the last. */
  listKeys(query: KeyQuery): Promise<readonly ApiKey[]>
  /** The same revoke twice is one revoke: the first moment stays. Answers the key as it is after, or `undefined`. */
  revokeKey(tenant: TenantReach, id: string, now: Instant): Promise<ApiKey | undefined>
  /**
   * Gives the key a new secret. The present one is good until `graceUntil`; those before it until then at the latest.
   * The last 8 are remembered for good, so that their use after grace is recognised. A revoked key is refused.
   */
  rotateKey(tenant: TenantReach, id: string, secret: NewSecret, graceUntil: Instant, now: Instant): Promise<Rotation>
  /** Notes when keys were last used. Never moves a time backwards, and leaves revoked keys as they are. */
  touchKeys(uses: readonly KeyUse[]): Promise<void>

  /** The keys whose rights or secrets changed after `revision`, and the revision that this answer is complete up to. */
  changesSince(revision: number): Promise<Changes>

  /** Writes the fact if there is none of that name. Answers the one that stands, ours or an earlier one. */
  claimFact(name: FactName, value: string): Promise<string>
  findFact(name: FactName): Promise<string | undefined>
  /** Makes the first tenant, user and key, once in the life of the store. Answers whether it was this call that did. */
  createFirst(tenant: string, user: User, key: NewKey, now: Instant): Promise<boolean>

  close(): Promise<void>
}

/** `root-key-check` tells a wrong root key from the right one; `first-start` is set once the first key has been made. */
export type FactName = 'root-key-check' | 'pepper' | 'first-start'

export type UserStatus = 'active' | 'disabled'

export interface User {
  readonly id: string
  readonly tenant: string
  /** Unique within the tenant. */
  readonly name: string
  readonly role: string
  readonly status: UserStatus
}

/** A key as it may be shown: neither its secret nor a digest. */
export interface ApiKey {
  readonly id: string
  readonly tenant: string
  /** The id of the user it acts for. */
  readonly owner: string
  readonly name: string
  readonly scopes: readonly string[]
  readonly last4: string
  readonly createdAt: Instant
  readonly expiresAt: Instant
  readonly revokedAt: Instant | undefined
  readonly lastUsedAt: Instant | undefined
}

export interface NewSecret {
  readonly digest: Buffer
  /** Which pepper the digest was made with. */
  readonly pepper: string
  readonly last4: string
}

export interface NewKey extends NewSecret {
  readonly id: string
  readonly tenant: string
  readonly owner: string
  readonly name: string
  readonly scopes: readonly string[]
  readonly expiresAt: Instant
}

/** An earlier secret of a key: good before `graceUntil`, afterwards a sign that someone still has it. */
export interface RetiredSecret {
  readonly digest: Buffer
  readonly graceUntil: Instant
}

/** A key with all that decides whether it is good. */
export interface KeyRecord extends ApiKey {
  readonly digest: Buffer
  readonly pepper: string
  readonly user: User
  /** The latest first. */
  readonly retired: readonly RetiredSecret[]
}

/** As the argument of `changesSince`: no change is later, so that the answer is the revision of now and nothing else. */
export const presentRevision = Number.MAX_SAFE_INTEGER

/** How many earlier secrets of one key are remembered. */
export const retiredSecretsMax = 8

export interface KeyQuery {
  readonly tenant: TenantReach
  /** The id of the owner. */
  readonly user?: string
  /** The id of the last key of the page before. */
  readonly after?: string
  readonly limit: number
}

export type Rotation =
  | { readonly outcome: 'rotated'; readonly key: ApiKey }
  | { readonly outcome: 'unknown' }
  | { readonly outcome: 'revoked' }

export interface KeyUse {
  readonly id: string
  readonly at: Instant
}

export interface Changes {
  readonly revision: number
  /** `withdrawn` keys are good for nothing any more: revoked, or their owner is disabled. */
  readonly keys: readonly { readonly id: string; readonly withdrawn: boolean }[]
}
