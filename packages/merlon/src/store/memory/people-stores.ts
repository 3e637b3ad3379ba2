import type { Instant } from '../../call.ts'
import type { Agent, AgentChange, AgentQuery, AgentStore, NewAgent } from '../../identity/agent-store.ts'
import { checkReach, type PageQuery, type TenantReach, type Updated } from '../../identity/reach.ts'
import type { NewTenant, Tenant, TenantChange, TenantStore } from '../../identity/tenant-store.ts'
import {
  type Login,
  type LoginRecord,
  type NewPassword,
  type NewUser,
  operatorRole,
  operatorScope,
  type User,
  type UserChange,
  type UserCondition,
  type UserQuery,
  type UserStore,
  type UserUpdate,
} from '../../identity/user-store.ts'
import { type IdentityState, isWithin, pageOf, type StoredAgent, type StoredUser, shownOf } from './identity-state.ts'

export class MemoryTenantStore implements TenantStore {
  readonly #state: IdentityState

  constructor(state: IdentityState) {
    this.#state = state
  }

  async ensureTenant(tenant: string, now: Instant): Promise<boolean> {
    return (await this.createTenant({ id: tenant, name: tenant, scopes: undefined }, now)) === 'created'
  }

  async createTenant(tenant: NewTenant, now: Instant): Promise<'created' | 'taken'> {
    if (this.#state.tenants.has(tenant.id)) return 'taken'
    const shown: Tenant = { ...tenant, status: 'active', createdAt: now, updatedAt: now, version: 1 }
    this.#state.tenants.set(tenant.id, { shown, changed: ++this.#state.revision })
    return 'created'
  }

  async findTenant(reach: TenantReach, id: string): Promise<Tenant | undefined> {
    checkReach(reach)
    return isWithin(reach, id) ? this.#state.tenants.get(id)?.shown : undefined
  }

  async listTenants(query: PageQuery): Promise<readonly Tenant[]> {
    checkReach(query.tenant)
    return pageOf(shownOf(this.#state.tenants.values()), query, ({ id }) => isWithin(query.tenant, id))
  }

  async updateTenant(
    id: string,
    { scopes, ...change }: TenantChange,
    expected: number | undefined,
    now: Instant,
  ): Promise<Updated<Tenant, 'last-operator'>> {
    checkReach(id)
    const before = this.#state.tenants.get(id)
    if (before === undefined) return { outcome: 'unknown' }
    if (expected !== undefined && expected !== before.shown.version) return { outcome: 'changed' }
    const hadOperator = hasOperator(this.#state, id)
    const shown: Tenant = {
      ...before.shown,
      ...change,
      ...(scopes === undefined ? {} : { scopes: scopes ?? undefined }),
      updatedAt: now,
      version: before.shown.version + 1,
    }
    const rights = change.status !== undefined || scopes !== undefined
    this.#state.tenants.set(id, { shown, changed: rights ? this.#state.revision + 1 : before.changed })
    if (hadOperator && !hasOperator(this.#state)) {
      this.#state.tenants.set(id, before)
      return { outcome: 'last-operator' }
    }
    this.#state.revision++
    return { outcome: 'updated', value: shown }
  }
}

export class MemoryUserStore implements UserStore {
  readonly #state: IdentityState

  constructor(state: IdentityState) {
    this.#state = state
  }

  async createUser(user: NewUser, now: Instant): Promise<'created' | 'tenant-unknown' | 'name-taken' | 'email-taken'> {
    checkReach(user.tenant)
    if (!this.#state.tenants.has(user.tenant)) return 'tenant-unknown'
    const taken = this.#taken(user)
    if (taken !== undefined) return taken
    this.putUser(user, now)
    return 'created'
  }

  /** As `createUser`, where it is known that nothing is in the way. */
  putUser({ password, email, ...user }: NewUser, now: Instant): void {
    const shown: User = {
      ...{ ...user, email, hasPassword: password !== undefined, hasSecondFactor: false },
      ...{ createdAt: now, updatedAt: now, version: 1 },
    }
    this.#state.users.set(user.id, { shown, password, removed: false, changed: ++this.#state.revision })
  }

  async findUser(tenant: string, name: string): Promise<User | undefined> {
    return this.#find((user) => user.tenant === tenant && user.name === name)?.shown
  }

  async findUserById(tenant: TenantReach, id: string): Promise<User | undefined> {
    checkReach(tenant)
    return this.#find((user) => user.id === id && isWithin(tenant, user.tenant))?.shown
  }

  async findLogin(login: Login): Promise<LoginRecord | undefined> {
    const found = this.#find((user) => {
      if ('email' in login) return user.email === login.email
      return 'id' in login ? user.id === login.id : user.tenant === login.tenant && user.name === login.name
    })
    if (found === undefined) return undefined
    const { status } = this.#state.tenants.get(found.shown.tenant)!.shown
    return { user: found.shown, tenantStatus: status, password: found.password, secondFactor: found.secondFactor }
  }

  async listUsers(query: UserQuery): Promise<readonly User[]> {
    checkReach(query.tenant)
    const { tenant, name } = query
    const present = [...this.#state.users.values()].filter(({ removed }) => !removed)
    return pageOf(shownOf(present), query, (user) => isWithin(tenant, user.tenant) && (name ?? user.name) === user.name)
  }

  async updateUser(
    tenant: TenantReach,
    id: string,
    { email, ...change }: UserChange,
    only: UserCondition,
    now: Instant,
  ): Promise<UserUpdate> {
    checkReach(tenant)
    const before = this.#expected(tenant, id, only)
    if (typeof before === 'string') return { outcome: before }
    const rises = change.role === operatorRole && before.shown.role !== operatorRole
    const shown: User = {
      ...before.shown,
      ...change,
      ...(email === undefined ? {} : { email: email ?? undefined }),
      ...(rises ? { hasPassword: false, hasSecondFactor: false } : {}),
      updatedAt: now,
      version: before.shown.version + 1,
    }
    const taken = this.#taken({ ...shown, email: email ?? undefined })
    if (taken !== undefined) return { outcome: taken }
    const lost = rises ? { password: undefined, secondFactor: undefined } : {}
    const refused = this.#replace(before, { ...before, shown, ...lost }, only)
    if (refused !== undefined) return { outcome: refused }
    if (rises) this.#revokeKeys(id, now, (key) => key.agent === undefined)
    // A user who is let in again signs in again.
    if (shown.status === 'disabled' || rises) this.#state.endSignIns(id, undefined, now)
    return { outcome: 'updated', value: shown }
  }

  async setPassword(
    tenant: TenantReach,
    id: string,
    { digest, present, expected, keep }: NewPassword,
    now: Instant,
  ): Promise<'set' | 'unknown' | 'changed'> {
    checkReach(tenant)
    const before = this.#expected(tenant, id, { expected })
    if (typeof before === 'string') return before
    if (present !== undefined && present !== before.password) return 'changed'
    const version = before.shown.version + 1
    const shown = { ...before.shown, hasPassword: true, updatedAt: now, version }
    this.#replace(before, { ...before, shown, password: digest }, {})
    this.#state.endSignIns(id, keep, now)
    return 'set'
  }

  async rehashPassword(id: string, present: string, digest: string): Promise<boolean> {
    const user = this.#state.users.get(id)
    if (user === undefined || user.password !== present) return false
    this.#state.users.set(id, { ...user, password: digest })
    return true
  }

  async removeUser(tenant: TenantReach, id: string, only: UserCondition, now: Instant): Promise<UserUpdate> {
    checkReach(tenant)
    const before = this.#expected(tenant, id, only)
    if (typeof before === 'string') return { outcome: before }
    const shown: User = {
      ...before.shown,
      ...{ name: `!${id}`, email: undefined, hasPassword: false, hasSecondFactor: false, status: 'disabled' as const },
      updatedAt: now,
      version: before.shown.version + 1,
    }
    const nothing = { password: undefined, secondFactor: undefined }
    const refused = this.#replace(before, { ...before, shown, ...nothing, removed: true }, only)
    if (refused !== undefined) return { outcome: refused }
    const changed = this.#state.revision
    this.#revokeKeys(id, now, () => true)
    for (const [agentId, agent] of this.#state.agents) {
      if (agent.shown.owner !== id || agent.removed) continue
      this.#state.agents.set(agentId, { shown: { ...agent.shown, status: 'inactive' }, removed: true, changed })
    }
    this.#state.endSignIns(id, undefined, now)
    return { outcome: 'updated', value: before.shown }
  }

  #revokeKeys(owner: string, now: Instant, isMeant: (key: { readonly agent: string | undefined }) => boolean): void {
    for (const [id, key] of this.#state.keys) {
      if (key.shown.owner !== owner || key.shown.revokedAt !== undefined || !isMeant(key.shown)) continue
      this.#state.keys.set(id, { ...key, shown: { ...key.shown, revokedAt: now }, changed: this.#state.revision })
    }
  }

  #find(asked: (user: User) => boolean): StoredUser | undefined {
    for (const user of this.#state.users.values()) if (!user.removed && asked(user.shown)) return user
    return undefined
  }

  #expected(tenant: TenantReach, id: string, { expected }: UserCondition): StoredUser | 'unknown' | 'changed' {
    const user = this.#find((each) => each.id === id && isWithin(tenant, each.tenant))
    if (user === undefined) return 'unknown'
    return expected !== undefined && expected !== user.shown.version ? 'changed' : user
  }

  #taken({ id, tenant, name, email }: Pick<NewUser, 'id' | 'tenant' | 'name' | 'email'>) {
    const other = (asked: (user: User) => boolean) => this.#find((user) => user.id !== id && asked(user)) !== undefined
    if (other((user) => user.tenant === tenant && user.name === name)) return 'name-taken'
    return email !== undefined && other((user) => user.email === email) ? 'email-taken' : undefined
  }

  /** Puts it back where nobody would be left who could undo the change. */
  #replace(before: StoredUser, after: StoredUser, { administrators = [] }: UserCondition) {
    const { id, tenant, role, status } = before.shown
    const hadOperator = hasOperator(this.#state, tenant)
    this.#state.users.set(id, { ...after, changed: this.#state.revision + 1 })
    const administrator = (user: User) =>
      user.tenant === tenant && user.status === 'active' && administrators.includes(user.role)
    const refused =
      hadOperator && !hasOperator(this.#state)
        ? 'last-operator'
        : status === 'active' && administrators.includes(role) && this.#find(administrator) === undefined
          ? 'last-administrator'
          : undefined
    if (refused === undefined) this.#state.revision++
    else this.#state.users.set(id, before)
    return refused
  }
}

/** Whether there is a user, in this tenant or in any, who is an operator and can act. */
function hasOperator(state: IdentityState, tenant?: string): boolean {
  for (const { shown, removed } of state.users.values()) {
    if (removed || shown.role !== operatorRole || shown.status !== 'active') continue
    if (tenant !== undefined && shown.tenant !== tenant) continue
    const home = state.tenants.get(shown.tenant)?.shown
    // A tenant that is limited to less leaves its operators nothing to act with.
    if (home?.status === 'active' && home.scopes?.includes(operatorScope) !== false) return true
  }
  return false
}

export class MemoryAgentStore implements AgentStore {
  readonly #state: IdentityState

  constructor(state: IdentityState) {
    this.#state = state
  }

  async createAgent(agent: NewAgent, now: Instant): Promise<'created' | 'owner-unknown' | 'name-taken'> {
    checkReach(agent.tenant)
    const owner = this.#state.users.get(agent.owner)
    if (owner === undefined || owner.removed || owner.shown.tenant !== agent.tenant) return 'owner-unknown'
    if (this.#isTaken(agent)) return 'name-taken'
    const shown: Agent = { ...agent, createdAt: now, updatedAt: now, version: 1 }
    this.#state.agents.set(agent.id, { shown, removed: false, changed: ++this.#state.revision })
    return 'created'
  }

  async findAgent(tenant: TenantReach, id: string): Promise<Agent | undefined> {
    checkReach(tenant)
    return this.#present(tenant, id)?.shown
  }

  async listAgents(query: AgentQuery): Promise<readonly Agent[]> {
    checkReach(query.tenant)
    const { tenant, owner } = query
    const present = [...this.#state.agents.values()].filter(({ removed }) => !removed)
    return pageOf(
      shownOf(present),
      query,
      (agent) => isWithin(tenant, agent.tenant) && (owner ?? agent.owner) === agent.owner,
    )
  }

  async updateAgent(
    tenant: TenantReach,
    id: string,
    change: AgentChange,
    expected: number | undefined,
    now: Instant,
  ): Promise<Updated<Agent, 'name-taken'>> {
    checkReach(tenant)
    const before = this.#present(tenant, id)
    if (before === undefined) return { outcome: 'unknown' }
    if (expected !== undefined && expected !== before.shown.version) return { outcome: 'changed' }
    const shown = { ...before.shown, ...change, updatedAt: now, version: before.shown.version + 1 }
    if (this.#isTaken(shown)) return { outcome: 'name-taken' }
    this.#state.agents.set(id, { ...before, shown, changed: ++this.#state.revision })
    return { outcome: 'updated', value: shown }
  }

  async removeAgent(
    tenant: TenantReach,
    id: string,
    expected: number | undefined,
    now: Instant,
  ): Promise<Updated<Agent>> {
    checkReach(tenant)
    const before = this.#present(tenant, id)
    if (before === undefined) return { outcome: 'unknown' }
    if (expected !== undefined && expected !== before.shown.version) return { outcome: 'changed' }
    const changed = ++this.#state.revision
    this.#state.agents.set(id, { shown: { ...before.shown, status: 'inactive' }, removed: true, changed })
    for (const [keyId, key] of this.#state.keys) {
      if (key.shown.agent !== id || key.shown.revokedAt !== undefined) continue
      this.#state.keys.set(keyId, { ...key, shown: { ...key.shown, revokedAt: now }, changed })
    }
    return { outcome: 'updated', value: before.shown }
  }

  #present(tenant: TenantReach, id: string): StoredAgent | undefined {
    const agent = this.#state.agents.get(id)
    return agent !== undefined && !agent.removed && isWithin(tenant, agent.shown.tenant) ? agent : undefined
  }

  #isTaken({ id, tenant, name }: Pick<Agent, 'id' | 'tenant' | 'name'>): boolean {
    for (const { shown, removed } of this.#state.agents.values()) {
      if (!removed && shown.id !== id && shown.tenant === tenant && shown.name === name) return true
    }
    return false
  }
}
