import type { Awaitable, Clock, Instant, ScopeSet } from '../call.ts'
import { Fault } from '../errors.ts'
import type { ChangePoll } from './change-poll.ts'
import { CredentialNews } from './credential-news.ts'
import type { Changes } from './installation-store.ts'
import { type RefusalReason, refusal, type Verdict, type Withdrawn } from './key-verdict.ts'
import { principalOf, rightsOf } from './principal.ts'
import { Recent } from './recent.ts'
import type { SignInRecord, SignInStore } from './sign-in-store.ts'

export interface SignInRingParts {
  readonly store: Pick<SignInStore, 'findSignIn'>
  readonly poll: ChangePoll
  /** The scopes of each role. */
  readonly roles: ReadonlyMap<string, ScopeSet>
  readonly clock: Clock
  readonly report?: (what: 'listener', cause: unknown) => void
  /** How many sign-ins are remembered. Default 10,000. */
  readonly rememberedMax?: number
}

interface KnownSignIn {
  readonly expiresAt: Instant
  readonly withdrawn: Withdrawn | undefined
  readonly granted: Extract<Verdict, { ok: true }>
}

/**
 * Answers what a sign-in is worth now. As for keys, a yes may come from memory while a poll of the store vouches for it; a no
 * is asked of the store, and an outage is `Fault('store.unavailable')`.
 */
export class SignInRing {
  /** Told of each sign-in that has ended before its time, or that is not as it was. */
  readonly news: CredentialNews
  readonly #store: Pick<SignInStore, 'findSignIn'>
  readonly #poll: ChangePoll
  readonly #roles: ReadonlyMap<string, ScopeSet>
  readonly #memory: Recent<KnownSignIn>
  readonly #clock: Clock

  constructor({ store, poll, roles, clock, report = () => undefined, rememberedMax = 10_000 }: SignInRingParts) {
    this.#store = store
    this.#poll = poll
    this.#roles = roles
    this.#clock = clock
    this.#memory = new Recent(rememberedMax)
    this.news = new CredentialNews(report)
    poll.follow((changes, everything) => this.#forget(changes, everything))
  }

  /** The principal has all that its user has, and ends with the sign-in: a token narrows both (`narrowed`). */
  standing(id: string, now: Instant): Awaitable<Verdict> {
    if (this.#poll.vouches(now)) {
      const known = this.#memory.get(id)
      if (known !== undefined) {
        const verdict = judge(id, known, now)
        if (verdict.ok) return verdict
      }
    }
    return this.#ask(id)
  }

  async #ask(id: string): Promise<Verdict> {
    const { revision } = this.#poll
    const record = await this.#find(id)
    if (record === undefined) return refusal('unknown', id)
    const known = know(record, this.#roles)
    const verdict = judge(id, known, this.#clock())
    // Where a poll moved the revision meanwhile, it may have dropped this sign-in before it came to be remembered.
    if (verdict.ok && revision !== undefined && revision === this.#poll.revision) this.#memory.set(id, known)
    return verdict
  }

  async #find(id: string): Promise<SignInRecord | undefined> {
    try {
      return await this.#store.findSignIn(id)
    } catch (cause) {
      throw cause instanceof Fault ? cause : new Fault('store.unavailable', { cause })
    }
  }

  #forget({ signIns }: Changes, everything: boolean): () => Promise<void> {
    if (everything) this.#memory.clear()
    const before = new Map(signIns.map(({ id }) => [id, this.#memory.get(id)]))
    for (const { id } of signIns) this.#memory.delete(id)
    return async () => {
      for (const { id, withdrawn } of signIns) {
        if (withdrawn) this.news.withdrawn(id)
        else if (await this.#differs(id, before.get(id)).catch(() => true)) this.news.changed(id)
      }
    }
  }

  async #differs(id: string, before: KnownSignIn | undefined): Promise<boolean> {
    const record = before === undefined ? undefined : await this.#find(id)
    if (before === undefined || record === undefined) return true
    const after = know(record, this.#roles)
    return (
      after.withdrawn !== before.withdrawn || rightsOf(after.granted.principal) !== rightsOf(before.granted.principal)
    )
  }
}

function know(record: SignInRecord, roles: ReadonlyMap<string, ScopeSet>): KnownSignIn {
  const { id, expiresAt, holder, revokedAt, tenantStatus, tenantScopes } = record
  const grounds = { kind: 'sign-in', credential: id, user: holder, scopes: undefined, tenantScopes, expiresAt } as const
  return {
    expiresAt,
    withdrawn:
      revokedAt !== undefined
        ? 'revoked'
        : tenantStatus !== 'active'
          ? 'tenant-suspended'
          : holder.status !== 'active'
            ? 'owner-disabled'
            : undefined,
    granted: Object.freeze({ ok: true, principal: principalOf(grounds, roles) }),
  }
}

function judge(id: string, { withdrawn, expiresAt, granted }: KnownSignIn, now: Instant): Verdict {
  const reason: RefusalReason | undefined = withdrawn ?? (now >= expiresAt ? 'expired' : undefined)
  return reason === undefined ? granted : refusal(reason, id)
}
