import type { Instant } from '../../call.ts'
import {
  type ApiKey,
  type Changes,
  checkReach,
  everyTenant,
  type FactName,
  type KeyQuery,
  type KeyRecord,
  type KeyStore,
  type KeyUse,
  type NewKey,
  type NewSecret,
  type RetiredSecret,
  type Rotation,
  retiredSecretsMax,
  type TenantReach,
  type User,
  type UserStatus,
} from '../../identity/key-store.ts'

interface StoredUser extends User {
  readonly changed: number
}

interface StoredKey extends ApiKey {
  readonly digest: Buffer
  readonly pepper: string
  readonly retired: readonly RetiredSecret[]
  readonly changed: number
}

/** Keys in memory, for tests and for a server that forgets on purpose. Each verb runs without a pause, so it is atomic. */
export class MemoryKeyStore implements KeyStore {
  readonly #tenants = new Set<string>()
  readonly #users = new Map<string, StoredUser>()
  readonly #keys = new Map<string, StoredKey>()
  readonly #facts = new Map<FactName, string>()
  #revision = 0

  async ensureTenant(tenant: string, _now: Instant): Promise<boolean> {
    if (this.#tenants.has(tenant)) return false
    this.#tenants.add(tenant)
    return true
  }

  async createUser(user: User, _now: Instant): Promise<'created' | 'tenant-unknown' | 'name-taken'> {
    if (!this.#tenants.has(user.tenant)) return 'tenant-unknown'
    if (this.#userNamed(user.tenant, user.name) !== undefined) return 'name-taken'
    this.#users.set(user.id, { ...user, changed: ++this.#revision })
    return 'created'
  }

  async findUser(tenant: string, name: string): Promise<User | undefined> {
    const user = this.#userNamed(tenant, name)
    return user && plainUser(user)
  }

  async setUserStatus(tenant: string, id: string, status: UserStatus, _now: Instant): Promise<boolean> {
    const user = this.#users.get(id)
    if (user?.tenant !== tenant) return false
    this.#users.set(id, { ...user, status, changed: ++this.#revision })
    return true
  }

  async createKey(key: NewKey, now: Instant): Promise<'created' | 'owner-unknown' | 'name-taken'> {
    if (this.#users.get(key.owner)?.tenant !== key.tenant) return 'owner-unknown'
    for (const other of this.#keys.values()) {
      if (other.owner === key.owner && other.name === key.name && other.revokedAt === undefined) return 'name-taken'
    }
    this.#keys.set(key.id, {
      ...key,
      createdAt: now,
      revokedAt: undefined,
      lastUsedAt: undefined,
      retired: [],
      changed: ++this.#revision,
    })
    return 'created'
  }

  async findKey(id: string): Promise<KeyRecord | undefined> {
    const key = this.#keys.get(id)
    if (key === undefined) return undefined
    return {
      ...plainKey(key),
      digest: key.digest,
      pepper: key.pepper,
      retired: key.retired,
      user: plainUser(this.#ownerOf(key)),
    }
  }

  async listKeys(query: KeyQuery): Promise<readonly ApiKey[]> {
    checkReach(query.tenant)
    const { after, user } = query
    return [...this.#keys.values()]
      .filter((key) => reaches(query.tenant, key) && (user === undefined || key.owner === user))
      .filter((key) => after === undefined || key.id > after)
      .sort((left, right) => (left.id < right.id ? -1 : 1))
      .slice(0, query.limit)
      .map(plainKey)
  }

  async revokeKey(tenant: TenantReach, id: string, now: Instant): Promise<ApiKey | undefined> {
    checkReach(tenant)
    const key = this.#keys.get(id)
    if (key === undefined || !reaches(tenant, key)) return undefined
    if (key.revokedAt !== undefined) return plainKey(key)
    const revoked = { ...key, revokedAt: now, changed: ++this.#revision }
    this.#keys.set(id, revoked)
    return plainKey(revoked)
  }

  async rotateKey(
    tenant: TenantReach,
    id: string,
    secret: NewSecret,
    graceUntil: Instant,
    _now: Instant,
  ): Promise<Rotation> {
    checkReach(tenant)
    const key = this.#keys.get(id)
    if (key === undefined || !reaches(tenant, key)) return { outcome: 'unknown' }
    if (key.revokedAt !== undefined) return { outcome: 'revoked' }
    const earlier = key.retired.map((old) => ({ ...old, graceUntil: Math.min(old.graceUntil, graceUntil) }))
    const retired = [{ digest: key.digest, graceUntil }, ...earlier].slice(0, retiredSecretsMax)
    const rotated = { ...key, ...secret, retired, changed: ++this.#revision }
    this.#keys.set(id, rotated)
    return { outcome: 'rotated', key: plainKey(rotated) }
  }

  async touchKeys(uses: readonly KeyUse[]): Promise<void> {
    for (const { id, at } of uses) {
      const key = this.#keys.get(id)
      if (key === undefined || key.revokedAt !== undefined || (key.lastUsedAt ?? -1) >= at) continue
      this.#keys.set(id, { ...key, lastUsedAt: at })
    }
  }

  async changesSince(revision: number): Promise<Changes> {
    const keys = []
    if (revision < this.#revision) {
      for (const key of this.#keys.values()) {
        const owner = this.#ownerOf(key)
        if (key.changed <= revision && owner.changed <= revision) continue
        keys.push({ id: key.id, withdrawn: key.revokedAt !== undefined || owner.status !== 'active' })
      }
    }
    return { revision: this.#revision, keys }
  }

  async claimFact(name: FactName, value: string): Promise<string> {
    const standing = this.#facts.get(name)
    if (standing !== undefined) return standing
    this.#facts.set(name, value)
    return value
  }

  async findFact(name: FactName): Promise<string | undefined> {
    return this.#facts.get(name)
  }

  async createFirst(tenant: string, user: User, key: NewKey, now: Instant): Promise<boolean> {
    if (this.#facts.has('first-start')) return false
    this.#facts.set('first-start', String(now))
    this.#tenants.add(tenant)
    this.#users.set(user.id, { ...user, changed: ++this.#revision })
    await this.createKey(key, now)
    return true
  }

  async close(): Promise<void> {}

  #userNamed(tenant: string, name: string): StoredUser | undefined {
    for (const user of this.#users.values()) if (user.tenant === tenant && user.name === name) return user
    return undefined
  }

  #ownerOf(key: StoredKey): StoredUser {
    return this.#users.get(key.owner)!
  }
}

function reaches(tenant: TenantReach, key: ApiKey): boolean {
  return tenant === everyTenant || key.tenant === tenant
}

function plainUser({ changed: _changed, ...user }: StoredUser): User {
  return user
}

function plainKey({ digest: _d, pepper: _p, retired: _r, changed: _c, ...key }: StoredKey): ApiKey {
  return key
}
