import { timingSafeEqual } from 'node:crypto'
import type { Instant, Principal, ScopeSet } from '../call.ts'
import { meet, noScopes, scopeSet } from '../policy/scopes.ts'
import type { KeyRecord, RetiredSecret } from './key-store.ts'

/** Why a key is refused: for the audit record alone. Outside, all of them are one answer. */
export type RefusalReason =
  /** Text that cannot be a key; no store was asked. */
  | 'malformed'
  | 'unknown'
  /** The id is that of a key, the secret is not. */
  | 'secret'
  /** A secret that was replaced, shown after its grace: someone still has it. */
  | 'retired-secret'
  | 'revoked'
  | 'owner-disabled'
  | 'expired'

export type Verdict =
  | { readonly ok: true; readonly principal: Principal }
  /** `credential` is the id that was shown; for `malformed` there is none. It proves nothing. */
  | { readonly ok: false; readonly reason: RefusalReason; readonly credential: string | undefined }

/** A key made ready to be judged often: what it grants is worked out once and shared by every call. */
export interface KnownKey {
  readonly id: string
  readonly digest: Buffer
  readonly retired: readonly RetiredSecret[]
  readonly expiresAt: Instant
  /** Why no secret of it is good, whatever the time. */
  readonly withdrawn: 'revoked' | 'owner-disabled' | undefined
  readonly granted: Verdict
}

/** A role that the configuration does not name grants nothing. */
export function know(record: KeyRecord, roles: ReadonlyMap<string, ScopeSet>): KnownKey {
  const { id, tenant, expiresAt, user } = record
  const granted = roles.get(user.role) ?? noScopes
  const principal: Principal = Object.freeze({
    id: user.id,
    kind: 'user',
    tenant,
    credential: id,
    role: user.role,
    granted,
    effective: meet(scopeSet(record.scopes), granted),
    expiresAt,
    binding: [tenant, 'user', user.id, id].join('\n'),
  })
  return {
    id,
    digest: record.digest,
    retired: record.retired,
    expiresAt,
    withdrawn: record.revokedAt !== undefined ? 'revoked' : user.status !== 'active' ? 'owner-disabled' : undefined,
    granted: Object.freeze({ ok: true, principal }),
  }
}

/** Whether what was shown, as a digest, is a good secret of the key at this moment. */
export function judge(key: KnownKey, digest: Buffer, now: Instant): Verdict {
  if (!same(digest, key.digest)) {
    const old = key.retired.find((secret) => same(digest, secret.digest))
    if (old === undefined) return refusal('secret', key.id)
    if (now >= old.graceUntil) return refusal('retired-secret', key.id)
    return until(old.graceUntil, standing(key, now))
  }
  return standing(key, now)
}

/** What an old secret opens ends with its grace: a stream would otherwise go on with it for as long as the key lives. */
function until(graceUntil: Instant, verdict: Verdict): Verdict {
  if (!verdict.ok || verdict.principal.expiresAt <= graceUntil) return verdict
  return { ok: true, principal: Object.freeze({ ...verdict.principal, expiresAt: graceUntil }) }
}

/** What a key is good for at this moment, once it is known that its present secret was shown. */
export function standing(key: KnownKey, now: Instant): Verdict {
  if (key.withdrawn !== undefined) return refusal(key.withdrawn, key.id)
  if (now >= key.expiresAt) return refusal('expired', key.id)
  return key.granted
}

export function refusal(reason: RefusalReason, credential?: string): Verdict {
  return { ok: false, reason, credential }
}

/** Whether two digests are equal, in a time that does not tell where they differ. */
export function same(left: Buffer, right: Buffer): boolean {
  return left.length === right.length && timingSafeEqual(left, right)
}

/** Whether two readings of one key let in the same secrets to do the same. */
export function alike(left: KnownKey, right: KnownKey): boolean {
  return (
    same(left.digest, right.digest) &&
    left.retired.length === right.retired.length &&
    left.expiresAt === right.expiresAt &&
    left.withdrawn === right.withdrawn &&
    rights(left) === rights(right)
  )
}

function rights({ granted }: KnownKey): string {
  if (!granted.ok) return ''
  const { role, granted: visible, effective } = granted.principal
  return [role, ...[...visible].sort(), '', ...[...effective].sort()].join(' ')
}
