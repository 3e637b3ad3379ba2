import { timingSafeEqual } from 'node:crypto'
import type { Instant, Principal, ScopeSet } from '../call.ts'
import { type AddressRule, addressRule } from './address-ranges.ts'
import type { KeyRecord, RetiredSecret } from './key-store.ts'
import { principalOf, rightsOf } from './principal.ts'
import type { Door } from './verdict.ts'

/** Why a credential is refused: for the audit record alone. Outside, all of them are one answer. */
export type RefusalReason =
  /** Text that cannot be a key; no store was asked. */
  | 'malformed'
  | 'unknown'
  /** The id is that of a key, the secret is not. */
  | 'secret'
  /** A secret that was replaced, shown after its grace: someone still has it. */
  | 'retired-secret'
  | 'expired'
  /** A good key of the other door. */
  | 'wrong-door'
  /** A good key, used from where it may not be. */
  | 'address'
  | Withdrawn

/** Why nothing about a credential is good, whatever the time. */
export type Withdrawn = 'revoked' | 'inactive' | 'owner-disabled' | 'agent-inactive' | 'tenant-suspended'

export type Verdict =
  | { readonly ok: true; readonly principal: Principal }
  /** `credential` is the id that was shown; for `malformed` there is none. It proves nothing. */
  | { readonly ok: false; readonly reason: RefusalReason; readonly credential: string | undefined }

/** A key made ready to be judged often: what it grants is worked out once and shared by every call. */
export interface KnownKey {
  readonly id: string
  readonly use: Door
  readonly digest: Buffer
  readonly retired: readonly RetiredSecret[]
  readonly expiresAt: Instant
  readonly withdrawn: Withdrawn | undefined
  readonly addressRanges: readonly string[] | undefined
  readonly allows: AddressRule | undefined
  readonly granted: Extract<Verdict, { ok: true }>
}

export function know(record: KeyRecord, roles: ReadonlyMap<string, ScopeSet>): KnownKey {
  const { id, use, digest, retired, expiresAt, addressRanges } = record
  const principal = principalOf({ kind: 'key', credential: id, ...record }, roles)
  return {
    id,
    use,
    digest,
    retired,
    expiresAt,
    withdrawn: withdrawal(record),
    addressRanges,
    allows: addressRule(addressRanges),
    granted: Object.freeze({ ok: true, principal }),
  }
}

function withdrawal({ revokedAt, active, tenantStatus, user, agent, agentStatus }: KeyRecord): Withdrawn | undefined {
  if (revokedAt !== undefined) return 'revoked'
  if (!active) return 'inactive'
  if (tenantStatus !== 'active') return 'tenant-suspended'
  if (user.status !== 'active') return 'owner-disabled'
  return agent !== undefined && agentStatus !== 'active' ? 'agent-inactive' : undefined
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

/** A good key opens its own door, from where it may be used; anything else of it is as bad as every other key. */
export function opens(key: KnownKey, door: Door, address: string | undefined, verdict: Verdict): Verdict {
  if (!verdict.ok) return verdict
  if (key.use !== door) return refusal('wrong-door', key.id)
  return key.allows === undefined || key.allows(address) ? verdict : refusal('address', key.id)
}

export function refusal(reason: RefusalReason, credential?: string): Extract<Verdict, { ok: false }> {
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
    left.use === right.use &&
    left.addressRanges?.join() === right.addressRanges?.join() &&
    rightsOf(left.granted.principal) === rightsOf(right.granted.principal)
  )
}
