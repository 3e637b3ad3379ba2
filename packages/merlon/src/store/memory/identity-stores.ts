import type { Instant } from '../../call.ts'
import type { IdentityStores } from '../../identity/identity-store.ts'
import type { Changes, FactName, InstallationStore } from '../../identity/installation-store.ts'
import type { NewKey } from '../../identity/key-store.ts'
import type { NewSigningKey, SigningKey, SigningKeyStore } from '../../identity/signing-key-store.ts'
import type { NewUser } from '../../identity/user-store.ts'
import { IdentityState } from './identity-state.ts'
import { MemoryKeyStore } from './key-store.ts'
import { MemoryAgentStore, MemoryTenantStore, MemoryUserStore } from './people-stores.ts'
import { MemorySecondFactorStore } from './second-factor-store.ts'
import { MemorySignInStore } from './sign-in-store.ts'
import { MemorySubjectStore } from './subject-store.ts'

/** Who may call in memory, for tests and for a server that forgets on purpose. */
export function memoryIdentity(state = new IdentityState()): IdentityStores {
  return {
    installation: new MemoryInstallationStore(state),
    tenants: new MemoryTenantStore(state),
    users: new MemoryUserStore(state),
    secondFactors: new MemorySecondFactorStore(state),
    agents: new MemoryAgentStore(state),
    keys: new MemoryKeyStore(state),
    signIns: new MemorySignInStore(state),
    subjects: new MemorySubjectStore(state),
    signingKeys: new MemorySigningKeyStore(state),
    close: async () => undefined,
  }
}

export class MemoryInstallationStore implements InstallationStore {
  readonly #state: IdentityState

  constructor(state: IdentityState) {
    this.#state = state
  }

  async claimFact(name: FactName, value: string): Promise<string> {
    const standing = this.#state.facts.get(name)
    if (standing !== undefined) return standing
    this.#state.facts.set(name, value)
    return value
  }

  async findFact(name: FactName): Promise<string | undefined> {
    return this.#state.facts.get(name)
  }

  async createFirst(tenant: string, user: NewUser, key: NewKey, now: Instant): Promise<boolean> {
    if (this.#state.facts.has('first-start')) return false
    this.#state.facts.set('first-start', String(now))
    await new MemoryTenantStore(this.#state).ensureTenant(tenant, now)
    new MemoryUserStore(this.#state).putUser(user, now)
    await new MemoryKeyStore(this.#state).createKey(key, now)
    return true
  }

  async changesSince(revision: number): Promise<Changes> {
    const { tenants, users, agents } = this.#state
    if (revision >= this.#state.revision)
      return { revision: this.#state.revision, keys: [], signIns: [], subjects: [], suspended: [], disabled: [] }
    const keys = []
    for (const { shown: key, changed } of this.#state.keys.values()) {
      const agent = key.agent === undefined ? undefined : agents.get(key.agent)
      const parts = [tenants.get(key.tenant)!, users.get(key.owner)!, ...(agent === undefined ? [] : [agent])]
      if (Math.max(changed, ...parts.map((part) => part.changed)) <= revision) continue
      const good = key.revokedAt === undefined && key.active && parts.every((part) => part.shown.status === 'active')
      keys.push({ id: key.id, withdrawn: !good })
    }
    const signIns = []
    for (const { shown: signIn, changed } of this.#state.signIns.values()) {
      const parts = [tenants.get(signIn.tenant)!, users.get(signIn.user)!]
      if (Math.max(changed, ...parts.map((part) => part.changed)) <= revision) continue
      const good = signIn.revokedAt === undefined && parts.every((part) => part.shown.status === 'active')
      signIns.push({ id: signIn.id, withdrawn: !good })
    }
    const subjects = []
    for (const { shown, changed } of this.#state.blocks.values()) {
      if (changed <= revision) continue
      const { issuer, subject, tenant } = shown
      subjects.push({ issuer, subject, tenant })
    }
    const since = (from: ReadonlyMap<string, { shown: { id: string; status: string }; changed: number }>) =>
      [...from.values()].filter(({ shown, changed }) => changed > revision && shown.status !== 'active')
    return {
      revision: this.#state.revision,
      ...{ keys, signIns, subjects },
      suspended: since(tenants).map(({ shown }) => shown.id),
      disabled: since(users).map(({ shown }) => shown.id),
    }
  }
}

export class MemorySigningKeyStore implements SigningKeyStore {
  readonly #state: IdentityState

  constructor(state: IdentityState) {
    this.#state = state
  }

  async addSigningKey(key: NewSigningKey, newest: string | undefined, now: Instant): Promise<boolean> {
    const keys = this.#state.signingKeys
    if ([...keys.keys()].at(-1) !== newest || keys.has(key.id)) return false
    keys.set(key.id, { ...key, createdAt: now, retiredAt: undefined, destroyedAt: undefined })
    return true
  }

  async listSigningKeys(): Promise<readonly SigningKey[]> {
    return [...this.#state.signingKeys.values()]
  }

  async retireSigningKey(id: string, now: Instant): Promise<SigningKey | undefined> {
    const key = this.#state.signingKeys.get(id)
    if (key === undefined || key.retiredAt !== undefined) return key
    const retired = { ...key, retiredAt: now }
    this.#state.signingKeys.set(id, retired)
    return retired
  }

  async destroySigningKey(id: string, now: Instant): Promise<boolean> {
    const key = this.#state.signingKeys.get(id)
    if (key?.retiredAt === undefined || key.destroyedAt !== undefined) return false
    this.#state.signingKeys.set(id, { ...key, sealed: undefined, destroyedAt: now })
    return true
  }
}
