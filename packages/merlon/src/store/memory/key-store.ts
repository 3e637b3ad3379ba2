import type { Instant } from '../../call.ts'
import {
  type ApiKey,
  type KeyQuery,
  type KeyRecord,
  type KeyStore,
  type KeyUpdate,
  type KeyUse,
  type NewKey,
  type NewSecret,
  type Rotation,
  retiredSecretsMax,
} from '../../identity/key-store.ts'
import { checkReach, type TenantReach, type Updated } from '../../identity/reach.ts'
import { type IdentityState, isWithin, pageOf, type StoredKey, shownOf } from './identity-state.ts'

export class MemoryKeyStore implements KeyStore {
  readonly #state: IdentityState

  constructor(state: IdentityState) {
    this.#state = state
  }

  async createKey(key: NewKey, now: Instant, ownerRole?: string): Promise<'created' | 'owner-unknown' | 'name-taken'> {
    const { tenant, owner, agent: agentId } = key
    const user = this.#state.users.get(owner)
    if (user === undefined || user.removed || user.shown.tenant !== tenant) return 'owner-unknown'
    if (ownerRole !== undefined && ownerRole !== user.shown.role) return 'owner-unknown'
    const agent = agentId === undefined ? undefined : this.#state.agents.get(agentId)
    if (agentId !== undefined && (agent === undefined || agent.removed || agent.shown.owner !== owner)) {
      return 'owner-unknown'
    }
    if (this.#isTaken(key)) return 'name-taken'
    const { digest, pepper, use = 'mcp', addressRanges, ...rest } = key
    const shown: ApiKey = {
      ...{ ...rest, agent: agentId, use, addressRanges, active: true, version: 1 },
      ...{ createdAt: now, updatedAt: now, revokedAt: undefined, lastUsedAt: undefined },
    }
    this.#state.keys.set(key.id, { shown, digest, pepper, retired: [], changed: ++this.#state.revision })
    return 'created'
  }

  async findKey(id: string): Promise<KeyRecord | undefined> {
    const key = this.#state.keys.get(id)
    if (key === undefined) return undefined
    const { shown, digest, pepper, retired } = key
    const { name, role, status } = this.#state.users.get(shown.owner)!.shown
    const tenant = this.#state.tenants.get(shown.tenant)!.shown
    return {
      ...{ ...shown, digest, pepper, retired },
      user: { id: shown.owner, tenant: shown.tenant, name, role, status },
      agentStatus: shown.agent === undefined ? undefined : this.#state.agents.get(shown.agent)!.shown.status,
      tenantStatus: tenant.status,
      tenantScopes: tenant.scopes,
    }
  }

  async listKeys(query: KeyQuery): Promise<readonly ApiKey[]> {
    checkReach(query.tenant)
    const { tenant, user, agent } = query
    return pageOf(
      shownOf(this.#state.keys.values()),
      query,
      (key) => isWithin(tenant, key.tenant) && (user ?? key.owner) === key.owner && (agent ?? key.agent) === key.agent,
    )
  }

  async updateKey(
    tenant: TenantReach,
    id: string,
    { addressRanges, ...change }: KeyUpdate,
    expected: number | undefined,
    now: Instant,
  ): Promise<Updated<ApiKey, 'name-taken' | 'revoked'>> {
    const key = this.#within(tenant, id)
    if (key === undefined) return { outcome: 'unknown' }
    if (key.shown.revokedAt !== undefined) return { outcome: 'revoked' }
    if (expected !== undefined && expected !== key.shown.version) return { outcome: 'changed' }
    if (change.name !== undefined && this.#isTaken({ ...key.shown, name: change.name })) {
      return { outcome: 'name-taken' }
    }
    const ranges = addressRanges === undefined ? {} : { addressRanges: addressRanges ?? undefined }
    return { outcome: 'updated', value: this.#put(key, { ...change, ...ranges }, now) }
  }

  async revokeKey(tenant: TenantReach, id: string, now: Instant): Promise<ApiKey | undefined> {
    const key = this.#within(tenant, id)
    if (key === undefined || key.shown.revokedAt !== undefined) return key?.shown
    return this.#put(key, { revokedAt: now }, now)
  }

  async rotateKey(
    tenant: TenantReach,
    id: string,
    { digest, pepper, last4 }: NewSecret,
    graceUntil: Instant,
    now: Instant,
  ): Promise<Rotation> {
    const key = this.#within(tenant, id)
    if (key === undefined) return { outcome: 'unknown' }
    if (key.shown.revokedAt !== undefined) return { outcome: 'revoked' }
    const earlier = key.retired.map((old) => ({ ...old, graceUntil: Math.min(old.graceUntil, graceUntil) }))
    const retired = [{ digest: key.digest, graceUntil }, ...earlier].slice(0, retiredSecretsMax)
    return { outcome: 'rotated', key: this.#put({ ...key, digest, pepper, retired }, { last4 }, now) }
  }

  async touchKeys(uses: readonly KeyUse[]): Promise<void> {
    for (const { id, at } of uses) {
      const key = this.#state.keys.get(id)
      if (key === undefined || key.shown.revokedAt !== undefined || (key.shown.lastUsedAt ?? -1) >= at) continue
      this.#state.keys.set(id, { ...key, shown: { ...key.shown, lastUsedAt: at } })
    }
  }

  #within(tenant: TenantReach, id: string): StoredKey | undefined {
    checkReach(tenant)
    const key = this.#state.keys.get(id)
    return key !== undefined && isWithin(tenant, key.shown.tenant) ? key : undefined
  }

  #put(key: StoredKey, change: Partial<ApiKey>, now: Instant): ApiKey {
    const shown = { ...key.shown, ...change, updatedAt: now, version: key.shown.version + 1 }
    this.#state.keys.set(shown.id, { ...key, shown, changed: ++this.#state.revision })
    return shown
  }

  #isTaken({ id, owner, name }: Pick<ApiKey, 'id' | 'owner' | 'name'>): boolean {
    for (const { shown } of this.#state.keys.values()) {
      if (shown.id !== id && shown.owner === owner && shown.name === name && shown.revokedAt === undefined) return true
    }
    return false
  }
}
