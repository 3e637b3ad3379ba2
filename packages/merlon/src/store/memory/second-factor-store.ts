import type { Instant } from '../../call.ts'
import { checkReach, type TenantReach } from '../../identity/reach.ts'
import type { ConfirmedSecondFactor, SecondFactorStore } from '../../identity/second-factor-store.ts'
import { type IdentityState, isWithin, type StoredUser } from './identity-state.ts'

export class MemorySecondFactorStore implements SecondFactorStore {
  readonly #state: IdentityState

  constructor(state: IdentityState) {
    this.#state = state
  }

  async beginSecondFactor(tenant: TenantReach, id: string, sealed: string): Promise<boolean> {
    checkReach(tenant)
    const user = this.#present(tenant, id)
    if (user === undefined || user.secondFactor?.since !== undefined) return false
    const secondFactor = { sealed, since: undefined, step: 0, recoveryCodes: [] }
    this.#state.users.set(id, { ...user, secondFactor })
    return true
  }

  async confirmSecondFactor(
    tenant: TenantReach,
    id: string,
    { sealed, step, recoveryCodes, keep }: ConfirmedSecondFactor,
    now: Instant,
  ): Promise<'on' | 'changed'> {
    checkReach(tenant)
    const before = this.#present(tenant, id)
    if (before === undefined || before.secondFactor?.sealed !== sealed) return 'changed'
    if (before.secondFactor.since !== undefined) return 'changed'
    const shown = { ...before.shown, hasSecondFactor: true, updatedAt: now, version: before.shown.version + 1 }
    const secondFactor = { sealed, since: now, step, recoveryCodes }
    this.#state.users.set(id, { ...before, shown, secondFactor, changed: ++this.#state.revision })
    this.#state.endSignIns(id, keep, now)
    const kept = this.#state.signIns.get(keep)
    if (kept !== undefined) this.#state.signIns.set(keep, { ...kept, shown: { ...kept.shown, confirmedAt: now } })
    return 'on'
  }

  async removeSecondFactor(
    tenant: TenantReach,
    id: string,
    only: { readonly expected?: number | undefined; readonly keep?: string | undefined },
    now: Instant,
  ): Promise<'removed' | 'off' | 'unknown' | 'changed'> {
    checkReach(tenant)
    const before = this.#present(tenant, id)
    if (before === undefined) return 'unknown'
    if (before.secondFactor?.since === undefined) return 'off'
    if (only.expected !== undefined && only.expected !== before.shown.version) return 'changed'
    const shown = { ...before.shown, hasSecondFactor: false, updatedAt: now, version: before.shown.version + 1 }
    this.#state.users.set(id, { ...before, shown, secondFactor: undefined, changed: ++this.#state.revision })
    this.#state.endSignIns(id, only.keep, now)
    return 'removed'
  }

  async listSecondFactors(): Promise<readonly { readonly user: string; readonly sealed: string }[]> {
    return [...this.#state.users].flatMap(([user, { secondFactor }]) =>
      secondFactor === undefined ? [] : [{ user, sealed: secondFactor.sealed }],
    )
  }

  async spendStep(id: string, sealed: string, step: number): Promise<boolean> {
    const user = this.#state.users.get(id)
    const factor = user?.secondFactor
    if (user === undefined || factor?.sealed !== sealed || factor.since === undefined || factor.step >= step)
      return false
    this.#state.users.set(id, { ...user, secondFactor: { ...factor, step } })
    return true
  }

  async spendRecoveryCode(id: string, sealed: string, digest: string): Promise<boolean> {
    const user = this.#state.users.get(id)
    const factor = user?.secondFactor
    if (user === undefined || factor?.sealed !== sealed || factor.since === undefined) return false
    if (!factor.recoveryCodes.includes(digest)) return false
    const recoveryCodes = factor.recoveryCodes.filter((each) => each !== digest)
    this.#state.users.set(id, { ...user, secondFactor: { ...factor, recoveryCodes } })
    return true
  }

  #present(tenant: TenantReach, id: string): StoredUser | undefined {
    const user = this.#state.users.get(id)
    return user !== undefined && !user.removed && isWithin(tenant, user.shown.tenant) ? user : undefined
  }
}
