import type { Instant } from '../call.ts'
import type { TenantReach } from './reach.ts'

/** Where second factors of users are kept. For what every verb promises, see `key-store.ts`. What a sign-in is decided on, `findLogin` of `UserStore` answers. */
export interface SecondFactorStore {
  /** Keeps a secret that is not asked for yet, in the place of one that was kept before. `false`: one is on, or there is no such user. */
  beginSecondFactor(tenant: TenantReach, id: string, sealed: string): Promise<boolean>
  /** Turns on the one that was begun, where it is still that one, and ends the user's sign-ins but `keep`. */
  confirmSecondFactor(
    tenant: TenantReach,
    id: string,
    confirmed: ConfirmedSecondFactor,
    now: Instant,
  ): Promise<'on' | 'changed'>
  /** Takes away the secret and the recovery codes, and ends the user's sign-ins but `keep`. */
  removeSecondFactor(
    tenant: TenantReach,
    id: string,
    only: { readonly expected?: number | undefined; readonly keep?: string | undefined },
    now: Instant,
  ): Promise<'removed' | 'off' | 'unknown' | 'changed'>
  /** Uses up a step and all before it, where the second factor is still that one. Of several at once, one is answered `true`. */
  spendStep(id: string, sealed: string, step: number): Promise<boolean>
  /** Every secret there is, for a check of what is sealed. */
  listSecondFactors(): Promise<readonly { readonly user: string; readonly sealed: string }[]>
  /** Uses up a recovery code, where the second factor is still that one. Of several at once, one is answered `true`. */
  spendRecoveryCode(id: string, sealed: string, digest: string): Promise<boolean>
}

/** What codes are judged by. */
export interface SecondFactor {
  /** The secret, of use to nobody without the key of the installation. */
  readonly sealed: string
  /** Since when a code is asked for; `undefined` where it was only begun. */
  readonly since: Instant | undefined
  /** The last step that was used: it is good no more, nor is one before it. */
  readonly step: number
  /** Digests of those that are left. */
  readonly recoveryCodes: readonly string[]
}

export interface ConfirmedSecondFactor {
  /** The secret that the code was judged by. */
  readonly sealed: string
  /** The step of the code, which is used up. */
  readonly step: number
  /** Digests. */
  readonly recoveryCodes: readonly string[]
  /** The sign-in that goes on, and counts as confirmed. */
  readonly keep: string
}
