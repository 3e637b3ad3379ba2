import type { Instant } from '../call.ts'
import { adminScope } from '../policy/scopes.ts'
import type { PageQuery, TenantReach, Updated } from './reach.ts'
import type { SecondFactor } from './second-factor-store.ts'
import type { TenantStatus } from './tenant-store.ts'

/** Where users are kept. For what every verb promises, see `key-store.ts`. A removed user is as if it had never been. */
export interface UserStore {
  createUser(user: NewUser, now: Instant): Promise<'created' | 'tenant-unknown' | 'name-taken' | 'email-taken'>
  findUser(tenant: string, name: string): Promise<User | undefined>
  findUserById(tenant: TenantReach, id: string): Promise<User | undefined>
  /** What a sign-in is decided on. By e-mail it is looked for in every tenant. */
  findLogin(login: Login): Promise<LoginRecord | undefined>
  listUsers(query: UserQuery): Promise<readonly User[]>
  /**
   * Disabling a user ends their sign-ins. Becoming an operator takes keys, sign-ins, password and second factor, which
   * administrators of the tenant may have. The last active operator of the installation stays one; and of the roles named in `administrators` the tenant keeps an
   * active user, if it has one.
   */
  updateUser(
    tenant: TenantReach,
    id: string,
    change: UserChange,
    only: UserCondition,
    now: Instant,
  ): Promise<UserUpdate>
  /**
   * Puts a new digest in the place of the present one, and ends the user's sign-ins but `keep`. Where `present` is given and
   * is not the digest that is there, or the user is not the version that was `expected`, nothing is done: someone else was
   * quicker.
   */
  setPassword(
    tenant: TenantReach,
    id: string,
    password: NewPassword,
    now: Instant,
  ): Promise<'set' | 'unknown' | 'changed'>
  /** The same password under a costlier digest: ends nothing and tells nobody. Answers whether `present` was still there. */
  rehashPassword(id: string, present: string, digest: string): Promise<boolean>
  /** Takes the user away for good, with their agents; ends their keys and sign-ins. Name and e-mail are free again. */
  removeUser(tenant: TenantReach, id: string, only: UserCondition, now: Instant): Promise<UserUpdate>
}

export type UserStatus = 'active' | 'disabled'

/** The user that a credential acts for. */
export interface CredentialUser {
  readonly id: string
  readonly tenant: string
  /** Unique within the tenant. */
  readonly name: string
  readonly role: string
  readonly status: UserStatus
}

export interface NewUser extends CredentialUser {
  /** In its canonical form; unique in the installation. */
  readonly email?: string | undefined
  /** The digest of the password. Absent: nobody can sign in as this user. */
  readonly password?: string | undefined
}

/** A user as it may be shown. */
export interface User extends CredentialUser {
  readonly email: string | undefined
  /** Whether there is a password to sign in with. */
  readonly hasPassword: boolean
  /** Whether a code is asked for beside the password. */
  readonly hasSecondFactor: boolean
  readonly createdAt: Instant
  readonly updatedAt: Instant
  /** Counts its changes. */
  readonly version: number
}

/** What is absent stays. `email: null` takes it away. */
export interface UserChange {
  readonly name?: string
  readonly email?: string | null
  readonly role?: string
  readonly status?: UserStatus
}

export interface UserQuery extends PageQuery {
  /** The one name that is looked for. */
  readonly name?: string
}

export interface UserCondition {
  /** The version that was decided on. */
  readonly expected?: number | undefined
  /** The roles that administer a tenant. Absent: it may be left without one. */
  readonly administrators?: readonly string[] | undefined
}

export type UserUpdate = Updated<User, 'name-taken' | 'email-taken' | 'last-operator' | 'last-administrator'>

export interface NewPassword {
  readonly digest: string
  readonly present?: string | undefined
  /** The version of the user that was judged. */
  readonly expected?: number | undefined
  /** The sign-in that goes on. */
  readonly keep?: string | undefined
}

/** An e-mail in its canonical form, a tenant and a name within it, or the id of a user who has signed in already. */
export type Login =
  | { readonly email: string }
  | { readonly tenant: string; readonly name: string }
  | { readonly id: string }

export interface LoginRecord {
  readonly user: User
  readonly tenantStatus: TenantStatus
  readonly password: string | undefined
  readonly secondFactor: SecondFactor | undefined
}

/** The role that reaches every tenant. What it may do there, its scopes say, as for every role. */
export const operatorRole = 'operator'
/** What an operator has to hold to act as one. */
export const operatorScope = adminScope
