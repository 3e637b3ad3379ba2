import type { Instant } from '../../call.ts'
import { checkReach, type TenantReach } from '../../identity/reach.ts'
import {
  type NewSignIn,
  type SignIn,
  type SignInQuery,
  type SignInRecord,
  type SignInStore,
  signInKeptMs,
  signInsKeptMax,
  signInsMax,
} from '../../identity/sign-in-store.ts'
import { type IdentityState, isWithin, pageOf, shownOf } from './identity-state.ts'

export class MemorySignInStore implements SignInStore {
  readonly #state: IdentityState

  constructor(state: IdentityState) {
    this.#state = state
  }

  async createSignIn(
    signIn: NewSignIn,
    expected: number | undefined,
    now: Instant,
  ): Promise<'created' | 'user-unknown' | 'changed'> {
    checkReach(signIn.tenant)
    const user = this.#state.users.get(signIn.user)
    const tenant = this.#state.tenants.get(signIn.tenant)
    if (user?.shown.tenant !== signIn.tenant || user.shown.status !== 'active') return 'user-unknown'
    if (tenant?.shown.status !== 'active') return 'user-unknown'
    if (expected !== undefined && expected !== user.shown.version) return 'changed'
    const changed = ++this.#state.revision
    this.#state.signIns.set(signIn.id, { shown: { ...signIn, createdAt: now, revokedAt: undefined }, changed })
    const latest = this.#of(signIn.user).sort(
      (left, right) => right.createdAt - left.createdAt || (left.id < right.id ? 1 : -1),
    )
    const open = latest.filter((each) => each.revokedAt === undefined && each.expiresAt > now)
    for (const { id } of open.slice(signInsMax)) this.#revoke(id, changed, now)
    const old = latest.filter((each) => each.createdAt <= now - signInKeptMs && each.expiresAt <= now)
    for (const { id } of [...latest.slice(signInsKeptMax), ...old]) this.#state.signIns.delete(id)
    return 'created'
  }

  async findSignIn(id: string): Promise<SignInRecord | undefined> {
    const signIn = this.#state.signIns.get(id)?.shown
    if (signIn === undefined) return undefined
    const user = this.#state.users.get(signIn.user)!.shown
    const tenant = this.#state.tenants.get(signIn.tenant)!.shown
    return {
      ...signIn,
      holder: { id: user.id, tenant: user.tenant, name: user.name, role: user.role, status: user.status },
      hasSecondFactor: user.hasSecondFactor,
      tenantStatus: tenant.status,
      tenantScopes: tenant.scopes,
    }
  }

  async hasSignedIn(user: string, address: string, now: Instant): Promise<boolean> {
    return this.#of(user).some((each) => each.address === address && each.createdAt > now - signInKeptMs)
  }

  async listSignIns(query: SignInQuery): Promise<readonly SignIn[]> {
    checkReach(query.tenant)
    const { tenant, user } = query
    return pageOf(
      shownOf(this.#state.signIns.values()),
      query,
      (signIn) => isWithin(tenant, signIn.tenant) && (user ?? signIn.user) === signIn.user,
    )
  }

  async revokeSignIn(tenant: TenantReach, id: string, now: Instant): Promise<SignIn | undefined> {
    checkReach(tenant)
    const signIn = this.#state.signIns.get(id)?.shown
    if (signIn === undefined || !isWithin(tenant, signIn.tenant)) return undefined
    return signIn.revokedAt === undefined ? this.#revoke(id, ++this.#state.revision, now) : signIn
  }

  async confirmSignIn(tenant: TenantReach, id: string, now: Instant): Promise<boolean> {
    checkReach(tenant)
    const signIn = this.#state.signIns.get(id)
    if (signIn === undefined || !isWithin(tenant, signIn.shown.tenant)) return false
    if (signIn.shown.revokedAt !== undefined || signIn.shown.expiresAt <= now) return false
    this.#state.signIns.set(id, { ...signIn, shown: { ...signIn.shown, confirmedAt: now } })
    return true
  }

  async revokeSignIns(tenant: TenantReach, user: string, keep: string | undefined, now: Instant): Promise<number> {
    checkReach(tenant)
    const open = this.#of(user).filter(
      (each) =>
        isWithin(tenant, each.tenant) && each.id !== keep && each.revokedAt === undefined && each.expiresAt > now,
    )
    if (open.length > 0) this.#state.revision++
    for (const { id } of open) this.#revoke(id, this.#state.revision, now)
    return open.length
  }

  #of(user: string): SignIn[] {
    return [...shownOf(this.#state.signIns.values())].filter((each) => each.user === user)
  }

  #revoke(id: string, changed: number, now: Instant): SignIn {
    const shown = { ...this.#state.signIns.get(id)!.shown, revokedAt: now }
    this.#state.signIns.set(id, { shown, changed })
    return shown
  }
}
