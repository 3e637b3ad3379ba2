import type { Instant } from '../call.ts'
import type { NewKey } from './key-store.ts'
import type { Subject } from './subject-store.ts'
import type { NewUser } from './user-store.ts'

/** Where facts of the installation as a whole are kept, and what has changed in it. See `key-store.ts` for the promises. */
export interface InstallationStore {
  /** Writes the fact if there is none of that name. Answers the one that stands, ours or an earlier one. */
  claimFact(name: FactName, value: string): Promise<string>
  findFact(name: FactName): Promise<string | undefined>
  /** Makes the first tenant, user and key, once in the life of the store. Answers whether it was this call that did. */
  createFirst(tenant: string, user: NewUser, key: NewKey, now: Instant): Promise<boolean>

  /**
   * The credentials whose rights or secrets changed after `revision`, themselves or through their user, agent or tenant; the
   * subjects that were blocked after it, and still are; the tenants that were suspended and the users who were disabled or
   * removed after it, and still are; and the revision that this answer is complete up to.
   */
  changesSince(revision: number): Promise<Changes>
}

/** `pepper` tells a wrong pepper from the right one; `first-start` is set once the first key has been made. */
export type FactName = 'pepper' | 'first-start'

/** As the argument of `changesSince`: no change is later, so that the answer is the revision of now and nothing else. */
export const presentRevision = Number.MAX_SAFE_INTEGER

export interface ChangedCredential {
  readonly id: string
  /** Good for nothing now: revoked or switched off, or its user, agent or tenant is. */
  readonly withdrawn: boolean
}

/** A subject of another issuer, in the tenant or, where there is none, in all. */
export interface BlockedSubject extends Subject {
  readonly tenant: string | undefined
}

export interface Changes {
  readonly revision: number
  readonly keys: readonly ChangedCredential[]
  readonly signIns: readonly ChangedCredential[]
  readonly subjects: readonly BlockedSubject[]
  readonly suspended: readonly string[]
  readonly disabled: readonly string[]
}
