import type { Instant } from '../call.ts'
import type { AgentStatus } from './agent-store.ts'
import type { PageQuery, TenantReach, Updated } from './reach.ts'
import type { TenantStatus } from './tenant-store.ts'
import type { CredentialUser } from './user-store.ts'
import type { Door } from './verdict.ts'

/**
 * Where API keys are kept. What is promised here holds for every store of who may call. Every verb is one atomic act and is
 * durable when it answers. Not there is `undefined`, refused is a value, out of reach is `Fault('store.unavailable')`: an
 * outage never reads as a missing key.
 *
 * Every act that changes what a credential may do moves one counter, the revision, in the same act. Acts take turns at the
 * counter, so a reader that has seen revision n has seen every change up to n.
 */
export interface KeyStore {
  /**
   * The owner must be in the key's tenant, and so must the agent, whose owner they are. A name is free when none of the
   * owner's keys that are not revoked has it. Where `ownerRole` is given, an owner of another role is not who was meant.
   */
  createKey(key: NewKey, now: Instant, ownerRole?: string): Promise<'created' | 'owner-unknown' | 'name-taken'>
  /** What authentication needs. Without a tenant: it comes from the record. */
  findKey(id: string): Promise<KeyRecord | undefined>
  /** Revoked ones included. */
  listKeys(query: KeyQuery): Promise<readonly ApiKey[]>
  updateKey(
    tenant: TenantReach,
    id: string,
    change: KeyUpdate,
    expected: number | undefined,
    now: Instant,
  ): Promise<Updated<ApiKey, 'name-taken' | 'revoked'>>
  /** The same revoke twice is one revoke: the first moment stays. Answers the key as it is after, or `undefined`. */
  revokeKey(tenant: TenantReach, id: string, now: Instant): Promise<ApiKey | undefined>
  /**
   * Gives the key a new secret. The present one is good until `graceUntil`; those before it until then at the latest.
   * The last 8 are remembered for good, so that their use after grace is recognised. A revoked key is refused.
   */
  rotateKey(tenant: TenantReach, id: string, secret: NewSecret, graceUntil: Instant, now: Instant): Promise<Rotation>
  /** Notes when keys were last used. Never moves a time backwards, and leaves revoked keys as they are. */
  touchKeys(uses: readonly KeyUse[]): Promise<void>
}

/** A key as it may be shown: neither its secret nor a digest. */
export interface ApiKey {
  readonly id: string
  readonly tenant: string
  /** The id of the user it acts for, or whose agent it acts for. */
  readonly owner: string
  /** The id of the agent it acts for. */
  readonly agent: string | undefined
  /** The one door that it opens. */
  readonly use: Door
  readonly name: string
  readonly scopes: readonly string[]
  /** Where it may be used from, as `10.0.0.0/8`. `undefined`: anywhere; `[]`: nowhere. */
  readonly addressRanges: readonly string[] | undefined
  /** A key that is not is refused, and can be switched on again. */
  readonly active: boolean
  readonly last4: string
  readonly createdAt: Instant
  readonly updatedAt: Instant
  readonly expiresAt: Instant
  readonly revokedAt: Instant | undefined
  readonly lastUsedAt: Instant | undefined
  /** Counts its changes. */
  readonly version: number
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
  readonly agent?: string | undefined
  /** Default `mcp`. */
  readonly use?: Door
  readonly name: string
  readonly scopes: readonly string[]
  readonly addressRanges?: readonly string[] | undefined
  readonly expiresAt: Instant
}

/** What is absent stays. `addressRanges: null` lifts the limit. */
export interface KeyUpdate {
  readonly name?: string
  readonly scopes?: readonly string[]
  readonly addressRanges?: readonly string[] | null
  readonly active?: boolean
  readonly expiresAt?: Instant
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
  readonly user: CredentialUser
  readonly agentStatus: AgentStatus | undefined
  readonly tenantStatus: TenantStatus
  /** What the tenant is limited to; `undefined`: nothing. */
  readonly tenantScopes: readonly string[] | undefined
  /** The latest first. */
  readonly retired: readonly RetiredSecret[]
}

/** How many earlier secrets of one key are remembered. */
export const retiredSecretsMax = 8

export interface KeyQuery extends PageQuery {
  /** The id of the owner. */
  readonly user?: string
  /** The id of an agent. */
  readonly agent?: string
}

export type Rotation =
  | { readonly outcome: 'rotated'; readonly key: ApiKey }
  | { readonly outcome: 'unknown' }
  | { readonly outcome: 'revoked' }

export interface KeyUse {
  readonly id: string
  readonly at: Instant
}
