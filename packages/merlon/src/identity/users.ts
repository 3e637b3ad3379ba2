import type { Clock, RandomBytes, ScopeSet } from '../call.ts'
import { adminScope, holds } from '../policy/scopes.ts'
import { type Actor, administers, mayGrant, operates, reaches } from './actor.ts'
import { base62 } from './key-format.ts'
import type { LoginThrottle } from './login-throttle.ts'
import { canonicalEmail, namePattern } from './names.ts'
import type { Passwords } from './passwords.ts'
import { everyTenant, type TenantReach } from './reach.ts'
import type { Recorder } from './recorded.ts'
import { type Refusal, refused } from './refusal.ts'
import type { TenantStore } from './tenant-store.ts'
import {
  type NewUser,
  operatorRole,
  type User,
  type UserChange,
  type UserStore,
  type UserUpdate,
} from './user-store.ts'

export interface UsersParts {
  readonly store: UserStore
  readonly tenants: Pick<TenantStore, 'ensureTenant' | 'findTenant'>
  readonly passwords: Passwords
  readonly throttle: LoginThrottle
  /** The scopes of each role. */
  readonly roles: ReadonlyMap<string, ScopeSet>
  readonly random: RandomBytes
  readonly clock: Clock
  readonly recorder: Recorder
}

export interface UserRequest {
  readonly tenant: string
  readonly name: string
  readonly role: string
  readonly email?: string | undefined
  readonly password?: string | undefined
  /** Makes the tenant where it is not there. For the operator alone. */
  readonly makeTenant?: boolean
}

export interface Listing {
  /** Default: all within reach. */
  readonly tenant?: string | undefined
  /** The last id of the page before. */
  readonly after?: string | undefined
  /** Default 100, at most 1,000. */
  readonly limit?: number | undefined
}

export interface UserListing extends Listing {
  /** The one name that is looked for. */
  readonly name?: string | undefined
}

type Done = { readonly ok: true; readonly user: User }

/**
 * What may be done with users. In a tenant others are managed with the scope `admin`; who is not an administrator knows of
 * none but themselves. Nobody grants more than they hold, an operator is managed by operators alone, and what is beyond the
 * reach of who asks is answered as what is not there.
 */
export class Users {
  readonly #parts: UsersParts
  readonly #administrators: readonly string[]

  constructor(parts: UsersParts) {
    this.#parts = parts
    this.#administrators = [...parts.roles].filter(([, scopes]) => holds(scopes, adminScope)).map(([role]) => role)
  }

  async create(request: UserRequest, by: Actor): Promise<Done | Refusal> {
    const { store, tenants, roles, passwords, random, clock, recorder } = this.#parts
    const { tenant, name, role } = request
    if (!reaches(by, tenant)) return refused('tenant-unknown')
    if (!administers(by, tenant)) return refused('not-yours')
    if (!namePattern.test(name)) return refused('name-malformed')
    const scopes = roles.get(role)
    if (scopes === undefined) return refused('role-unknown')
    if (!mayGrant(by, role, scopes)) return refused('scope-beyond-yours')
    const email = request.email === undefined ? undefined : canonicalEmail(request.email)
    if (request.email !== undefined && email === undefined) return refused('email-malformed')
    const weak =
      request.password === undefined ? undefined : await passwords.weakness(request.password, [name, email, tenant])
    if (weak !== undefined) return refused(weak)
    const makeTenant = request.makeTenant === true && operates(by)
    if (!makeTenant && (await tenants.findTenant(tenant, tenant)) === undefined) return refused('tenant-unknown')

    const password = request.password === undefined ? undefined : await passwords.hash(request.password)
    const user: NewUser = { id: `usr_${base62(random, 12)}`, tenant, name, role, status: 'active', email, password }
    const detail = { user: user.id, name, role }
    const outcome = await recorder.change(
      { action: 'user.create', by: by.id, tenant, detail },
      async () => {
        if (makeTenant) await tenants.ensureTenant(tenant, clock())
        return store.createUser(user, clock())
      },
      {
        done: (created) => created === 'created',
        undo: () => store.removeUser(tenant, user.id, {}, clock()),
      },
    )
    if (outcome !== 'created') return refused(outcome)
    const made = await store.findUserById(tenant, user.id)
    return made === undefined ? refused('user-unknown') : { ok: true, user: made }
  }

  async get(id: string, by: Actor): Promise<Done | Refusal<'user-unknown'>> {
    const user = await this.#find(id, by)
    return user === undefined ? refused('user-unknown') : { ok: true, user }
  }

  /** A page of the users within reach, in the order of their ids. Who is not an administrator sees themselves. */
  async list(query: UserListing, by: Actor): Promise<readonly User[]> {
    const tenant = reachOf(query, by)
    if (tenant === undefined) return []
    if (!holds(by.scopes, adminScope)) {
      const self = await this.#parts.store.findUserById(tenant, by.id)
      const asked = self !== undefined && (query.name ?? self.name) === self.name && self.id > (query.after ?? '')
      return asked ? [self] : []
    }
    const { name } = query
    return this.#parts.store.listUsers({ tenant, ...pageOf(query), ...(name === undefined ? {} : { name }) })
  }

  /** `expected` is the version that the change was decided on. Who is not an administrator may change their own name. */
  async update(id: string, asked: UserChange, by: Actor, expected?: number): Promise<Done | Refusal> {
    const { store, roles, clock, recorder } = this.#parts
    const user = await this.#find(id, by)
    if (user === undefined) return refused('user-unknown')
    const { name, role, status } = asked
    const namesAlone = asked.email === undefined && role === undefined && status === undefined
    if (!this.#mayManage(user, by) && !(user.id === by.id && namesAlone)) return refused('not-yours')
    if (name !== undefined && !namePattern.test(name)) return refused('name-malformed')
    const email = typeof asked.email === 'string' ? canonicalEmail(asked.email) : asked.email
    if (asked.email !== undefined && email === undefined) return refused('email-malformed')
    if (role !== undefined) {
      const scopes = roles.get(role)
      if (scopes === undefined) return refused('role-unknown')
      if (!mayGrant(by, role, scopes)) return refused('scope-beyond-yours')
    }
    if (expected !== undefined && expected !== user.version) return refused('changed')

    const change: UserChange = {
      ...(name === undefined ? {} : { name }),
      ...(email === undefined ? {} : { email }),
      ...(role === undefined ? {} : { role }),
      ...(status === undefined ? {} : { status }),
    }
    const fields = Object.keys(change)
    const detail = { user: id, name: user.name, fields, ...(role && { role }), ...(status && { status }) }
    const statusAlone = status !== undefined && fields.length === 1
    const action = !statusAlone ? 'user.update' : status === 'active' ? 'user.enable' : 'user.disable'
    const updated = await recorder.change(
      { action, by: by.id, tenant: user.tenant, detail },
      // The version that was judged above: a user who became an operator meanwhile is not changed.
      () => store.updateUser(user.tenant, id, change, this.#only(user, by), clock()),
      { done: ({ outcome }) => outcome === 'updated' },
    )
    return answerOf(updated)
  }

  /** Puts a password in the place of the one that was forgotten, and ends the user's sign-ins. */
  async setPassword(id: string, password: string, by: Actor): Promise<{ readonly ok: true } | Refusal> {
    const user = await this.#find(id, by)
    if (user === undefined) return refused('user-unknown')
    // A credential that was found must not be enough to take the account over.
    if (!this.#mayManage(user, by) || user.id === by.id) return refused('not-yours')
    return this.#setPassword(user, password, by, undefined)
  }

  /** Ends the user's other sign-ins. Guesses at the present password are counted as failed sign-ins are. */
  async changeOwnPassword(
    { current, next }: { readonly current: string; readonly next: string },
    by: Actor,
    address: string | undefined,
  ): Promise<{ readonly ok: true } | Refusal> {
    const { store, passwords, throttle } = this.#parts
    const login = await store.findLogin({ id: by.id })
    if (login === undefined) return refused('user-unknown')
    const attempt = await throttle.begin({
      account: `id:${by.id}`,
      network: address && throttle.networkOf(address),
      known: false,
    })
    const { good } = await passwords.verify(current, login.password)
    if (!good || login.password === undefined) return refused('password-wrong')
    await attempt.succeeded()
    return this.#setPassword(login.user, next, by, login.password)
  }

  /** Takes the user away for good, with their agents, keys and sign-ins. */
  async remove(id: string, by: Actor, expected?: number): Promise<Done | Refusal> {
    const { store, clock, recorder } = this.#parts
    const user = await this.#find(id, by)
    if (user === undefined) return refused('user-unknown')
    if (!this.#mayManage(user, by)) return refused('not-yours')
    if (expected !== undefined && expected !== user.version) return refused('changed')
    const removed = await recorder.change(
      { action: 'user.remove', by: by.id, tenant: user.tenant, detail: { user: id, name: user.name } },
      () => store.removeUser(user.tenant, id, this.#only(user, by), clock()),
      { done: ({ outcome }) => outcome === 'updated' },
    )
    return answerOf(removed)
  }

  async #setPassword(
    user: User,
    password: string,
    by: Actor,
    present: string | undefined,
  ): Promise<{ readonly ok: true } | Refusal> {
    const { store, passwords, clock, recorder } = this.#parts
    const weak = await passwords.weakness(password, [user.name, user.email, user.tenant])
    if (weak !== undefined) return refused(weak)
    const digest = await passwords.hash(password)
    // One who became an operator while the digest was made is not given it by an administrator.
    const expected = present === undefined ? user.version : undefined
    const outcome = await recorder.change(
      { action: 'user.password', by: by.id, tenant: user.tenant, detail: { user: user.id, name: user.name } },
      () => store.setPassword(user.tenant, user.id, { digest, present, expected, keep: present && by.signIn }, clock()),
      { done: (set) => set === 'set' },
    )
    return outcome === 'set' ? { ok: true } : refused(outcome === 'changed' ? 'changed' : 'user-unknown')
  }

  async #find(id: string, by: Actor): Promise<User | undefined> {
    const user = await this.#parts.store.findUserById(by.tenant, id)
    if (user === undefined || user.id === by.id || administers(by, user.tenant)) return user
    return undefined
  }

  #mayManage(user: User, by: Actor): boolean {
    return administers(by, user.tenant) && (user.role !== operatorRole || operates(by))
  }

  /** An operator may leave a tenant without an administrator: they are one for it. */
  #only(user: User, by: Actor) {
    return { expected: user.version, administrators: operates(by) ? undefined : this.#administrators }
  }
}

/** The tenants that a listing is of, or `undefined` where they are beyond reach. */
export function reachOf({ tenant }: Listing, by: Actor): TenantReach | undefined {
  if (tenant === undefined) return by.tenant
  return by.tenant === everyTenant || by.tenant === tenant ? tenant : undefined
}

export function pageOf({ after, limit = 100 }: Listing): { readonly after?: string; readonly limit: number } {
  return { limit: Math.min(Math.max(Math.trunc(limit), 1), 1_000), ...(after === undefined ? {} : { after }) }
}

function answerOf(updated: UserUpdate): Done | Refusal {
  if (updated.outcome === 'updated') return { ok: true, user: updated.value }
  return refused(updated.outcome === 'unknown' ? 'user-unknown' : updated.outcome)
}
