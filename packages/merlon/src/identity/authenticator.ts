import type { Awaitable, Instant, Principal, ScopeSet } from '../call.ts'
import { meet, noScopes, scopePattern, scopeSet } from '../policy/scopes.ts'
import type { Verdict } from './verdict.ts'

/** Who an accepted credential stands for. */
export interface Subject {
  /** Stable and unique among the subjects of this authenticator: 1 to 200 visible ASCII characters. */
  readonly subject: string
  readonly scopes: readonly string[]
  /** A role of the configuration. Default `user`. */
  readonly role?: string
  /** Default `default`. From the verified credential only, never from what a client says beside it. */
  readonly tenant?: string
  /** When the credential ends, in milliseconds since the epoch. */
  readonly expiresAt: Instant
}

class Accepted {
  readonly #subject: Subject
  constructor(subject: Subject) {
    this.#subject = subject
  }
  static subjectOf(answer: unknown): Subject | undefined {
    return typeof answer === 'object' && answer !== null && #subject in answer ? answer.#subject : undefined
  }
}

class Rejected {
  readonly reason: string
  constructor(reason: string) {
    this.reason = reason
  }
}

export type { Accepted, Rejected }

/** Says that the credential is good, and for whom. Nothing else counts as acceptance. */
export function accept(subject: Subject): Accepted {
  return new Accepted(subject)
}

/** Says that the credential is not good. The reason goes to the audit record; put nothing secret in it. */
export function reject(reason: string): Rejected {
  return new Rejected(reason)
}

/** Checks credentials that are not API keys of this server. */
export interface Authenticator {
  /**
   * Answers `accept(…)` or `reject(…)`. Throwing means that it could not be checked now: the caller gets 503, never 401.
   * Any other answer denies.
   */
  authenticate(
    credential: string,
    request: { readonly address: string; readonly requestId: string },
  ): Awaitable<Accepted | Rejected>
}

/** Declares the authenticator that `authentication.module` names. */
export function defineAuthenticator(authenticator: Authenticator): Authenticator {
  return Object.freeze({ ...authenticator })
}

const visible = /^[\x21-\x7e]{1,200}$/

/** Turns an authenticator's answer into a verdict. Whatever is not a complete acceptance denies. */
export function verdictOf(answer: unknown, roles: ReadonlyMap<string, ScopeSet>, now: Instant): Verdict {
  const subject = Accepted.subjectOf(answer)
  if (subject === undefined)
    return {
      ok: false,
      reason: answer instanceof Rejected ? answer.reason.slice(0, 200) : 'no-answer',
      credential: undefined,
    }
  const { subject: id, scopes, role = 'user', tenant = 'default', expiresAt } = subject
  if (typeof id !== 'string' || !visible.test(id)) return { ok: false, reason: 'subject', credential: undefined }
  if (typeof tenant !== 'string' || !visible.test(tenant)) return { ok: false, reason: 'tenant', credential: undefined }
  if (!Array.isArray(scopes) || !scopes.every((scope) => typeof scope === 'string' && scopePattern.test(scope)))
    return { ok: false, reason: 'scopes', credential: undefined }
  if (!Number.isFinite(expiresAt) || !(expiresAt > now)) return { ok: false, reason: 'expired', credential: undefined }
  const granted = roles.get(role) ?? noScopes
  const principal: Principal = Object.freeze({
    id,
    kind: 'external',
    tenant,
    credential: `external:${id}`,
    role,
    granted,
    effective: meet(scopeSet(scopes), granted),
    expiresAt,
    binding: [tenant, 'external', id].join('\n'),
  })
  return { ok: true, principal }
}
