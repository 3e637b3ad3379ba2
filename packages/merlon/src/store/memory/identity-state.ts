import type { Instant } from '../../call.ts'
import type { Agent } from '../../identity/agent-store.ts'
import type { FactName } from '../../identity/installation-store.ts'
import type { ApiKey, RetiredSecret } from '../../identity/key-store.ts'
import { everyTenant, type PageQuery, type TenantReach } from '../../identity/reach.ts'
import type { SecondFactor } from '../../identity/second-factor-store.ts'
import type { SignIn } from '../../identity/sign-in-store.ts'
import type { SigningKey } from '../../identity/signing-key-store.ts'
import type { SubjectBlock } from '../../identity/subject-store.ts'
import type { Tenant } from '../../identity/tenant-store.ts'
import type { User } from '../../identity/user-store.ts'

/** What is kept of each, beside what may be shown: the revision of its last change, and secrets. */
export interface Stored<Shown> {
  readonly shown: Shown
  readonly changed: number
}

export interface StoredUser extends Stored<User> {
  readonly password: string | undefined
  readonly secondFactor?: SecondFactor | undefined
  readonly removed: boolean
}

export interface StoredAgent extends Stored<Agent> {
  readonly removed: boolean
}

export interface StoredKey extends Stored<ApiKey> {
  readonly digest: Buffer
  readonly pepper: string
  readonly retired: readonly RetiredSecret[]
}

/** What the stores in memory share. Their verbs run without a pause, so each is atomic. */
export class IdentityState {
  readonly facts = new Map<FactName, string>()
  readonly tenants = new Map<string, Stored<Tenant>>()
  readonly users = new Map<string, StoredUser>()
  readonly agents = new Map<string, StoredAgent>()
  readonly keys = new Map<string, StoredKey>()
  readonly signIns = new Map<string, Stored<SignIn>>()
  readonly blocks = new Map<string, Stored<SubjectBlock>>()
  readonly signingKeys = new Map<string, SigningKey>()
  revision = 0

  /** Ends the sign-ins of a user but `keep`, with the change that is the reason. */
  endSignIns(user: string, keep: string | undefined, now: Instant): void {
    for (const [id, { shown }] of this.signIns) {
      if (shown.user !== user || id === keep || shown.revokedAt !== undefined) continue
      this.signIns.set(id, { shown: { ...shown, revokedAt: now }, changed: this.revision })
    }
  }
}

export function isWithin(reach: TenantReach, tenant: string): boolean {
  return reach === everyTenant || reach === tenant
}

/** One page, in the order of the ids byte by byte. */
export function pageOf<Shown extends { readonly id: string }>(
  all: Iterable<Shown>,
  { after, limit }: PageQuery,
  asked: (shown: Shown) => boolean,
): readonly Shown[] {
  return [...all]
    .filter((shown) => asked(shown) && (after === undefined || shown.id > after))
    .sort((left, right) => (left.id < right.id ? -1 : 1))
    .slice(0, limit)
}

export function* shownOf<Shown>(stored: Iterable<Stored<Shown>>): Iterable<Shown> {
  for (const { shown } of stored) yield shown
}
