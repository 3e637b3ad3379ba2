import type { Clock, RandomBytes } from '../call.ts'
import { Fault } from '../errors.ts'
import { adminScope, holds } from '../policy/scopes.ts'
import { type Actor, administers, operates } from './actor.ts'
import { base62 } from './key-format.ts'
import type { BegunAttempt, LoginThrottle } from './login-throttle.ts'
import { canonicalEmail, namePattern, tenantPattern } from './names.ts'
import type { Passwords } from './passwords.ts'
import { type Recorder, tenantOf } from './recorded.ts'
import { type Refusal, refused } from './refusal.ts'
import type { SecondFactor } from './second-factor-store.ts'
import type { Proof, SecondFactors } from './second-factors.ts'
import type { NewSignIn, SignIn, SignInStore } from './sign-in-store.ts'
import { type Login, type LoginRecord, operatorRole, type User, type UserStore } from './user-store.ts'
import { type Listing, pageOf, reachOf } from './users.ts'

export interface SignInsParts {
  readonly store: SignInStore
  readonly users: Pick<UserStore, 'findLogin' | 'findUserById' | 'rehashPassword'>
  readonly passwords: Passwords
  readonly secondFactors: Pick<SecondFactors, 'judge' | 'spend'>
  readonly throttle: LoginThrottle
  readonly random: RandomBytes
  readonly clock: Clock
  readonly recorder: Recorder
  /** How long a sign-in lasts, however often its tokens are renewed. */
  readonly lifetimeMs: number
}

export type SignInRequest = {
  readonly password: string
  /** Of the second factor, or a recovery code. Of no matter where the user has none. */
  readonly code?: string | undefined
  readonly address: string
} & ({ readonly email: string } | { readonly tenant: string; readonly name: string })

export interface SignedIn {
  readonly signIn: SignIn
  readonly user: User
}

export interface SignInListing extends Listing {
  /** The id of a user. */
  readonly user?: string | undefined
}

/** What may be done with sign-ins: one's own are seen and ended by oneself, those of others by an administrator. */
export class SignIns {
  readonly #parts: SignInsParts

  constructor(parts: SignInsParts) {
    this.#parts = parts
  }

  /**
   * Opens a sign-in. Whatever is wrong, `Fault('login.refused')` after the work of one password; after too many failures
   * `Fault('rate.exceeded')` before it. Neither tells which accounts there are (AD-05). Where the password is right, and a code
   * is asked for and was not sent, `Fault('login.second-factor')`: it says no more than to sign in with the password would.
   */
  async signIn(request: SignInRequest): Promise<SignedIn> {
    const { store, users, passwords, secondFactors, throttle, random, clock, recorder, lifetimeMs } = this.#parts
    const { password, code } = request
    const network = throttle.networkOf(request.address)
    const login = loginOf(request)
    const record = login && (await users.findLogin(login))
    const known = await store.hasSignedIn(record?.user.id ?? absentUser, network, clock())
    const attempt = await throttle.begin({ account: accountOf(request), network, known })
    const { good, stale } = await passwords.verify(password, record?.password)
    // It is judged whatever the password is, so that a wrong code and a wrong password take the same time.
    const proof =
      code === undefined ? undefined : secondFactors.judge(record?.user.id ?? absentUser, record?.secondFactor, code)
    const wrong = good ? barrier(record) : record === undefined ? 'unknown' : 'password'
    if (record === undefined || wrong !== undefined) throw new Fault('login.refused', { reason: wrong ?? 'unknown' })

    const { user, secondFactor } = record
    const shown = await this.#mustShow(user, secondFactor, code, proof, attempt)
    const now = clock()
    const id = `sgn_${base62(random, 22)}`
    const signIn: NewSignIn = {
      ...{ id, tenant: user.tenant, user: user.id, expiresAt: now + lifetimeMs, address: network },
      ...(shown === undefined ? {} : { confirmedAt: now }),
    }
    const outcome = await recorder.change(
      {
        action: 'sign-in.create',
        by: user.id,
        tenant: user.tenant,
        detail: { signIn: id, user: user.id, address: network, ...(shown && { secondFactor: shown.kind }) },
      },
      // Who was judged above: a password that was changed meanwhile, which ended the sign-ins, opens none after it.
      () => store.createSignIn(signIn, user.version, now),
      {
        done: (created) => created === 'created',
        undo: () => store.revokeSignIn(user.tenant, id, clock()),
      },
    )
    if (outcome !== 'created')
      throw new Fault('login.refused', { reason: outcome === 'changed' ? 'user-changed' : 'user-disabled' })
    await attempt.succeeded()
    if (stale && record.password !== undefined) {
      await users.rehashPassword(user.id, record.password, await passwords.hash(password))
    }
    return { signIn: { ...signIn, createdAt: now, revokedAt: undefined }, user }
  }

  /** Uses up what the code proved; `undefined` where the user is asked for none. */
  async #mustShow(
    user: User,
    secondFactor: SecondFactor | undefined,
    code: string | undefined,
    proof: Proof | undefined,
    attempt: BegunAttempt,
  ): Promise<Proof | undefined> {
    if (secondFactor?.since === undefined) return undefined
    if (code === undefined) {
      // The password was right: it is no guess at it.
      await attempt.succeeded()
      throw new Fault('login.second-factor')
    }
    if (proof === undefined || !(await this.#parts.secondFactors.spend(user.id, secondFactor, proof)))
      throw new Fault('login.refused', { reason: 'second-factor' })
    return proof
  }

  /** A page of the sign-ins within reach. Who is not an administrator sees their own. */
  async list(query: SignInListing, by: Actor): Promise<readonly SignIn[]> {
    const tenant = reachOf(query, by)
    const user = holds(by.scopes, adminScope) ? query.user : by.id
    if (tenant === undefined || (query.user !== undefined && query.user !== user)) return []
    return this.#parts.store.listSignIns({ tenant, ...pageOf(query), ...(user === undefined ? {} : { user }) })
  }

  /** Ends a sign-in for good: its tokens are refused from the next call on. Ending it again is no error. */
  async revoke(id: string, by: Actor): Promise<{ readonly ok: true; readonly signIn: SignIn } | Refusal> {
    const { store, clock, recorder } = this.#parts
    const found = await store.findSignIn(id)
    if (found === undefined || (found.user !== by.id && !administers(by, found.tenant)))
      return refused('sign-in-unknown')
    if (found.user !== by.id && found.holder.role === operatorRole && !operates(by)) return refused('not-yours')
    const signIn = await recorder.change(
      { action: 'sign-in.revoke', by: by.id, tenant: found.tenant, detail: { signIn: id, user: found.user } },
      () => store.revokeSignIn(found.tenant, id, clock()),
      { done: (revoked) => revoked !== undefined },
    )
    return signIn === undefined ? refused('sign-in-unknown') : { ok: true, signIn }
  }

  /** Ends the sign-in that was used to ask. With a key there is none to end. */
  async signOut(by: Actor): Promise<{ readonly ok: true; readonly signIn: SignIn } | Refusal> {
    return by.signIn === undefined ? refused('sign-in-unknown') : this.revoke(by.signIn, by)
  }

  /** Ends all sign-ins of a user. Answers how many were open. */
  async revokeAll(user: string, by: Actor): Promise<{ readonly ok: true; readonly count: number } | Refusal> {
    const { store, users, clock, recorder } = this.#parts
    const found = await users.findUserById(by.tenant, user)
    if (found === undefined || (found.id !== by.id && !administers(by, found.tenant))) return refused('user-unknown')
    if (found.id !== by.id && found.role === operatorRole && !operates(by)) return refused('not-yours')
    const count = await recorder.change(
      { action: 'sign-in.revoke', by: by.id, tenant: found.tenant ?? tenantOf(by), detail: { user } },
      () => store.revokeSignIns(found.tenant, user, undefined, clock()),
      { done: () => true },
    )
    return { ok: true, count }
  }
}

/** An id that no user has: looking for what is not there takes the same steps. */
const absentUser = 'usr_000000000000'

/** What to look for; `undefined` for what no account is called: a store may fail at what is no text to it. */
function loginOf(request: SignInRequest): Login | undefined {
  if ('email' in request) {
    const email = canonicalEmail(request.email)
    return email === undefined ? undefined : { email }
  }
  const { tenant, name } = request
  return tenantPattern.test(tenant) && namePattern.test(name) ? { tenant, name } : undefined
}

/** What failures are counted by: what was typed, so that accounts that are there and that are not count alike. */
function accountOf(request: SignInRequest): string {
  return 'email' in request
    ? `email:${request.email.toLowerCase()}`
    : `name:${JSON.stringify([request.tenant, request.name])}`
}

/** Why the right password opens nothing. */
function barrier(record: LoginRecord | undefined): string | undefined {
  if (record === undefined) return 'unknown'
  if (record.tenantStatus !== 'active') return 'tenant-suspended'
  return record.user.status === 'active' ? undefined : 'user-disabled'
}
