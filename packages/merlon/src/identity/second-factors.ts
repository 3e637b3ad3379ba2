import type { Clock, Instant, RandomBytes } from '../call.ts'
import { type Actor, administers, operates } from './actor.ts'
import type { KeyDigest } from './key-digest.ts'
import type { LoginThrottle } from './login-throttle.ts'
import type { Passwords } from './passwords.ts'
import type { Recorder } from './recorded.ts'
import { type Refusal, refused } from './refusal.ts'
import type { SecondFactor, SecondFactorStore } from './second-factor-store.ts'
import type { SignInStore } from './sign-in-store.ts'
import { base32, otpauthUri, stepOf, totpSecretBytes } from './totp.ts'
import { operatorRole, type User, type UserStore } from './user-store.ts'

/** Seals text, bound to where it belongs, and opens it again. */
interface Sealer {
  seal(plain: string, boundTo: string): string
  open(token: string, boundTo: string): string | undefined
}

export interface SecondFactorsParts {
  readonly store: SecondFactorStore
  readonly users: Pick<UserStore, 'findLogin' | 'findUserById'>
  readonly signIns: Pick<SignInStore, 'findSignIn' | 'confirmSignIn'>
  readonly passwords: Passwords
  readonly throttle: LoginThrottle
  readonly sealer: Sealer
  /** Of recovery codes. They are random, so that a slow one would add cost and no strength. */
  readonly digest: KeyDigest
  /** What an app shows beside the account. */
  readonly issuer: string
  readonly random: RandomBytes
  readonly clock: Clock
  readonly recorder: Recorder
}

/** What a code proved; it is good once, and is used up by `spend`. */
export type Proof =
  | { readonly kind: 'step'; readonly step: number }
  | { readonly kind: 'recovery'; readonly digest: string }

/** A second factor that was begun, as its user is shown it once. */
export interface BegunSecondFactor {
  readonly ok: true
  /** For an app that reads QR codes. */
  readonly uri: string
  /** For an app that it is typed into. */
  readonly secret: string
}

/** How long a sign-in counts as confirmed. */
export const confirmedMs = 600_000
export const recoveryCodesMax = 10
/** 80 bits each: nobody guesses one. */
const recoveryCodeBytes = 10

/**
 * The second factor of users who sign in with a password: codes by the time, and recovery codes for when the app is lost. A code
 * is good once, whichever server it is shown to. What only its user may do asks for a code or the password, since a token that
 * was found must not be enough; an administrator takes it from another who has lost both.
 */
export class SecondFactors {
  readonly #parts: SecondFactorsParts
  /** Judged by where there is none, so that it takes as long. */
  readonly #decoy: string

  constructor(parts: SecondFactorsParts) {
    this.#parts = parts
    this.#decoy = this.#seal(parts.random(totpSecretBytes), '')
  }

  /** Makes a secret, which is not asked for until a code of it was shown. One that was begun before is good no more. */
  async begin(
    { password }: { readonly password: string },
    by: Actor,
    address: string | undefined,
  ): Promise<BegunSecondFactor | Refusal> {
    const { store, users, passwords, random, recorder, issuer } = this.#parts
    if (by.signIn === undefined) return refused('sign-in-unknown')
    const login = await users.findLogin({ id: by.id })
    if (login === undefined) return refused('user-unknown')
    const attempt = await this.#attempt(by, address)
    const { good } = await passwords.verify(password, login.password)
    if (!good) return refused('password-wrong')
    await attempt.succeeded()
    const { user, secondFactor } = login
    if (secondFactor?.since !== undefined) return refused('second-factor-on')
    const secret = random(totpSecretBytes)
    const begun = await recorder.change(
      {
        action: 'user.second-factor-begin',
        by: by.id,
        tenant: user.tenant,
        detail: { user: user.id, name: user.name },
      },
      () => store.beginSecondFactor(user.tenant, user.id, this.#seal(secret, user.id)),
      { done: (done) => done },
    )
    if (!begun) return refused('second-factor-on')
    return { ok: true, uri: otpauthUri(secret, issuer, user.email ?? user.name), secret: base32(secret) }
  }

  /** Turns it on with a first code. Ends the user's other sign-ins, and answers the recovery codes, this once. */
  async confirm(
    { code }: { readonly code: string },
    by: Actor,
    address: string | undefined,
  ): Promise<{ readonly ok: true; readonly recoveryCodes: readonly string[] } | Refusal> {
    const { store, users, random, clock, recorder } = this.#parts
    const keep = by.signIn
    if (keep === undefined) return refused('sign-in-unknown')
    const login = await users.findLogin({ id: by.id })
    if (login === undefined) return refused('user-unknown')
    const { user, secondFactor } = login
    if (secondFactor === undefined) return refused('second-factor-off')
    if (secondFactor.since !== undefined) return refused('second-factor-on')
    const attempt = await this.#attempt(by, address)
    const proof = this.judge(user.id, secondFactor, code)
    if (proof?.kind !== 'step') return refused('code-wrong')
    await attempt.succeeded()
    const recoveryCodes = Array.from({ length: recoveryCodesMax }, () => written(random(recoveryCodeBytes)))
    const confirmed = {
      sealed: secondFactor.sealed,
      step: proof.step,
      recoveryCodes: recoveryCodes.map((each) => this.#digestOf(user.id, each)),
      keep,
    }
    const outcome = await recorder.change(
      {
        action: 'user.second-factor-confirm',
        by: by.id,
        tenant: user.tenant,
        detail: { user: user.id, name: user.name },
      },
      () => store.confirmSecondFactor(user.tenant, user.id, confirmed, clock()),
      { done: (done) => done === 'on' },
    )
    return outcome === 'on' ? { ok: true, recoveryCodes } : refused('changed')
  }

  /** Takes one's own away, with a code. Ends the user's other sign-ins. */
  async remove(
    { code }: { readonly code: string },
    by: Actor,
    address: string | undefined,
  ): Promise<{ readonly ok: true } | Refusal> {
    const shown = await this.#show(code, by, address)
    return shown.ok ? this.#remove(shown.user, by, by.signIn) : shown
  }

  /** Takes that of another away, who has lost it, and ends their sign-ins. For whom the user is to manage. */
  async removeOf(id: string, by: Actor): Promise<{ readonly ok: true } | Refusal> {
    const user = await this.#parts.users.findUserById(by.tenant, id)
    if (user === undefined || (user.id !== by.id && !administers(by, user.tenant))) return refused('user-unknown')
    const manages = administers(by, user.tenant) && (user.role !== operatorRole || operates(by))
    // A credential that was found must not be enough to take one's own away.
    if (!manages || user.id === by.id) return refused('not-yours')
    return this.#remove(user, by, undefined)
  }

  /** Shows a code again in a sign-in that is open. Answers until when it counts as confirmed. */
  async confirmSignIn(
    { code }: { readonly code: string },
    by: Actor,
    address: string | undefined,
  ): Promise<{ readonly ok: true; readonly until: Instant } | Refusal> {
    const { signIns, clock, recorder } = this.#parts
    const shown = await this.#show(code, by, address)
    if (!shown.ok) return shown
    const { user, signIn, proof } = shown
    const now = clock()
    const confirmed = await recorder.change(
      {
        action: 'sign-in.confirm',
        by: by.id,
        tenant: user.tenant,
        detail: { signIn, user: user.id, secondFactor: proof.kind },
      },
      () => signIns.confirmSignIn(user.tenant, signIn, now),
      { done: (done) => done },
    )
    return confirmed ? { ok: true, until: now + confirmedMs } : refused('sign-in-unknown')
  }

  /**
   * Whether they may do what asks for the second factor: their user has none, or showed it in this sign-in in the last ten
   * minutes. It is asked of the store each time, so that it holds on every server. Keys and the local operator have none.
   */
  async isConfirmed(by: Actor): Promise<boolean> {
    if (by.signIn === undefined) return true
    const record = await this.#parts.signIns.findSignIn(by.signIn)
    if (record === undefined) return false
    if (!record.hasSecondFactor) return true
    // The clocks of servers that share a store may differ, either way.
    return record.confirmedAt !== undefined && Math.abs(this.#parts.clock() - record.confirmedAt) < confirmedMs
  }

  /** What a code proves; `undefined` where it is wrong. Where there is no second factor it takes as long. Uses nothing up. */
  judge(user: string, secondFactor: SecondFactor | undefined, code: string): Proof | undefined {
    const typed = code.replace(/[\s-]/g, '').toUpperCase()
    const opened = this.#open(secondFactor?.sealed ?? this.#decoy, secondFactor === undefined ? '' : user)
    // What was sealed with another key proves nothing.
    const step = stepOf(opened ?? Buffer.alloc(totpSecretBytes), typed, this.#parts.clock())
    const digest = this.#digestOf(user, typed)
    if (secondFactor === undefined || opened === undefined) return undefined
    if (step !== undefined) return step > secondFactor.step ? { kind: 'step', step } : undefined
    return secondFactor.recoveryCodes.includes(digest) ? { kind: 'recovery', digest } : undefined
  }

  /** Uses up what was proved. `false`: it was used meanwhile, or it is another second factor now. */
  spend(user: string, { sealed }: SecondFactor, proof: Proof): Promise<boolean> {
    const { store } = this.#parts
    return proof.kind === 'step'
      ? store.spendStep(user, sealed, proof.step)
      : store.spendRecoveryCode(user, sealed, proof.digest)
  }

  /** Opens the secret of each that there is. */
  async verify(): Promise<{ readonly records: number; readonly unreadable: number }> {
    const all = await this.#parts.store.listSecondFactors()
    const unreadable = all.filter(({ user, sealed }) => this.#open(sealed, user) === undefined)
    return { records: all.length, unreadable: unreadable.length }
  }

  /** Judges a code of who asks, and uses it up. Wrong ones are counted as failed sign-ins are. */
  async #show(code: string, by: Actor, address: string | undefined) {
    const { users } = this.#parts
    const { signIn } = by
    if (signIn === undefined) return refused('sign-in-unknown')
    const login = await users.findLogin({ id: by.id })
    if (login === undefined) return refused('user-unknown')
    const { user, secondFactor } = login
    if (secondFactor?.since === undefined) return refused('second-factor-off')
    const attempt = await this.#attempt(by, address)
    const proof = this.judge(user.id, secondFactor, code)
    if (proof === undefined || !(await this.spend(user.id, secondFactor, proof))) return refused('code-wrong')
    await attempt.succeeded()
    return { ok: true, user, signIn, proof } as const
  }

  async #remove(user: User, by: Actor, keep: string | undefined): Promise<{ readonly ok: true } | Refusal> {
    const { store, clock, recorder } = this.#parts
    const outcome = await recorder.change(
      {
        action: 'user.second-factor-remove',
        by: by.id,
        tenant: user.tenant,
        detail: { user: user.id, name: user.name },
      },
      // The version that was judged: an administrator takes nothing from one who became an operator meanwhile.
      () => store.removeSecondFactor(user.tenant, user.id, { expected: user.version, keep }, clock()),
      { done: (done) => done === 'removed' },
    )
    switch (outcome) {
      case 'removed':
        return { ok: true }
      case 'off':
        return refused('second-factor-off')
      case 'changed':
        return refused('changed')
      case 'unknown':
        return refused('user-unknown')
    }
  }

  #attempt(by: Actor, address: string | undefined) {
    const { throttle } = this.#parts
    const network = address && throttle.networkOf(address)
    return throttle.begin({ account: `id:${by.id}`, network, known: false })
  }

  #seal(secret: Buffer, user: string): string {
    return this.#parts.sealer.seal(secret.toString('base64url'), placeOf(user))
  }

  #open(sealed: string, user: string): Buffer | undefined {
    const text = this.#parts.sealer.open(sealed, placeOf(user))
    return text === undefined ? undefined : Buffer.from(text, 'base64url')
  }

  #digestOf(user: string, code: string): string {
    return this.#parts.digest(`${user}\n${code.replaceAll('-', '')}`).toString('base64url')
  }
}

/** A sealed secret is bound to its user: it cannot be put in the place of another's. */
function placeOf(user: string): string {
  return `second-factor\n${user}`
}

/** In fours, as a person copies it. */
function written(bytes: Buffer): string {
  return base32(bytes).replace(/.{4}(?=.)/g, '$&-')
}
