import type { Awaitable, Instant, Principal, ScopeSet } from '../call.ts'
import { Fault } from '../errors.ts'
import { meet, noScopes, scopeSet } from '../policy/scopes.ts'
import type { Introspection } from './introspection.ts'
import { type Subject, subjectId } from './subject-store.ts'
import type { VerificationKey } from './token-algorithms.ts'
import type { HeldClaims } from './token-claims.ts'
import type { JsonObject } from './token-format.ts'
import type { Door, Verdict } from './verdict.ts'

/** What the subject of a token is worth at this moment: asked on every call, also of a token that was verified before. */
export type Standing = (now: Instant) => Awaitable<Verdict>

/** Whose tokens are taken, and what is asked of them. Our own and those of others are checked by one path. */
export interface TrustedIssuer {
  readonly issuer: string
  readonly algorithms: ReadonlySet<string>
  /** Values of `typ`, in lower case. */
  readonly types: ReadonlySet<string>
  /** Whether a token without `typ` is taken. */
  readonly untyped: boolean
  /** What `aud` must name for this door; `undefined`: tokens of this issuer do not open it. */
  audience(door: Door): string | undefined
  readonly skewMs: number
  readonly lifetimeMsMax: number
  readonly required: ReadonlyMap<string, string>
  /** Whether tokens must be bound to a key (RFC 9449). */
  readonly bound: boolean
  find(kid: string | undefined, algorithm: string): Awaitable<VerificationKey | undefined>
  /** Throws `Fault('tenant.missing')` where the token is good and says nothing of where its subject belongs. */
  place(claims: JsonObject, held: HeldClaims): Standing
  /** How tokens are judged that say nothing themselves. `undefined`: they are not taken. */
  readonly opaque?: OpaqueTokens | undefined
}

/** The tokens of an issuer that only the issuer can read. */
export interface OpaqueTokens {
  readonly introspection: Pick<Introspection, 'ask' | 'isBusy'>
  /** Throws as `place` does. */
  principalOf(claims: JsonObject, held: HeldClaims): Principal
  standingOf(principal: Principal, held: HeldClaims): Standing
}

/** A claim at the top of a token, or the way to one within. */
export type ClaimPath = string | readonly string[]

/** How the claims of an issuer are read. */
export interface Mapping {
  /** One tenant for all, or the claim that tells it, perhaps through a table. */
  readonly tenant:
    | { readonly value: string }
    | { readonly claim: ClaimPath; readonly values?: ReadonlyMap<string, string> }
  /** One role for all, or a claim and the roles that its values stand for; the first that fits. */
  readonly role:
    | { readonly value: string }
    | { readonly claim: ClaimPath; readonly values: ReadonlyMap<string, string> }
  /** The claim with scopes, as text with spaces or as a list, perhaps with the scopes that its values stand for. */
  readonly scopes: { readonly claim: ClaimPath; readonly values?: ReadonlyMap<string, readonly string[]> }
  /** What tokens of this issuer may carry at most. `undefined`: what the role grants. */
  readonly ceiling: ScopeSet | undefined
  /** The scopes that mean something here: an issuer has others, and they are passed over. */
  readonly known: ReadonlySet<string>
}

/** What a tenant is limited to, or `undefined` for one that is not there or is suspended. `credential` asks for its sake. */
export interface TenantStanding {
  tenantAt(
    tenant: string,
    credential: string,
    now: Instant,
  ): Awaitable<{ readonly scopes: ScopeSet | undefined } | undefined>
}

/** Whether a subject is blocked here, in every tenant or in this one. `id` is that of the subject. */
export interface SubjectStanding {
  isBlocked(id: string, subject: Subject, tenant: string, now: Instant): Awaitable<boolean>
}

/** No role: the name cannot be one. */
const noRole = ''
const tenantPattern = /^[a-z0-9][a-z0-9._-]{0,63}$/

/** The principal that a foreign token stands for, before its tenant has been asked about. */
export function mapClaims(
  issuer: string,
  claims: JsonObject,
  held: HeldClaims,
  mapping: Mapping,
  roles: ReadonlyMap<string, ScopeSet>,
): Principal {
  const tenant = tenantIn(claims, mapping.tenant)
  if (tenant === undefined) throw new Fault('tenant.missing', { reason: 'tenant' })
  const role = 'value' in mapping.role ? mapping.role.value : firstMapped(claims, mapping.role)
  const granted = roles.get(role) ?? noScopes
  const claimed = scopesIn(claims, mapping.scopes, mapping.known)
  const capped = mapping.ceiling === undefined ? claimed : meet(mapping.ceiling, claimed)
  const id = subjectId({ issuer, subject: held.subject })
  return Object.freeze({
    id,
    kind: 'external',
    tenant,
    credential: id,
    role,
    granted,
    effective: meet(capped, granted),
    expiresAt: held.endsAt,
    binding: [tenant, 'external', issuer, held.subject].join('\n'),
  })
}

function tenantIn(claims: JsonObject, mapping: Mapping['tenant']): string | undefined {
  if ('value' in mapping) return mapping.value
  const [value, ...others] = textsAt(claims, mapping.claim)
  if (value === undefined || others.length > 0) return undefined
  const tenant = mapping.values === undefined ? value : mapping.values.get(value)
  return tenant !== undefined && tenantPattern.test(tenant) ? tenant : undefined
}

function firstMapped(
  claims: JsonObject,
  { claim, values }: { readonly claim: ClaimPath; readonly values: ReadonlyMap<string, string> },
): string {
  const said = new Set(textsAt(claims, claim))
  for (const [value, role] of values) if (said.has(value)) return role
  return noRole
}

function scopesIn(claims: JsonObject, { claim, values }: Mapping['scopes'], known: ReadonlySet<string>): ScopeSet {
  const said = textsAt(claims, claim).flatMap((text) => text.split(' '))
  const scopes = values === undefined ? said : said.flatMap((text) => values.get(text) ?? [])
  return scopeSet(scopes.filter((scope) => known.has(scope)))
}

/** The texts at a place in the claims: one, or those of a list. Anything else is none. */
function textsAt(claims: JsonObject, path: ClaimPath): readonly string[] {
  let value: unknown = claims
  for (const name of typeof path === 'string' ? [path] : path) {
    if (typeof value !== 'object' || value === null || Array.isArray(value) || !Object.hasOwn(value, name)) return []
    value = (value as JsonObject)[name]
  }
  if (typeof value === 'string') return [value]
  return Array.isArray(value) ? value.filter((entry): entry is string => typeof entry === 'string') : []
}

/** What the standing of a foreign subject rests on. */
export interface StandingParts {
  readonly tenants: TenantStanding
  readonly subjects: SubjectStanding
}

/**
 * What a foreign subject is worth: as its credential says, while its tenant is active and nobody has blocked it. Without a
 * subject there is none to block: only whoever answers for the credential can take it back.
 */
export function standingIn(
  { tenants, subjects }: StandingParts,
  subject: Subject | undefined,
  principal: Principal,
): Standing {
  const { id, tenant, credential } = principal
  let limitedBy: ScopeSet | undefined
  let admitted: Verdict = Object.freeze({ ok: true, principal })
  const verdictOf = (blocked: boolean): Verdict =>
    blocked ? { ok: false, reason: 'subject-blocked', credential } : admitted
  const judge = (found: { readonly scopes: ScopeSet | undefined } | undefined, now: Instant): Awaitable<Verdict> => {
    if (found === undefined) return { ok: false, reason: 'tenant-inactive', credential }
    if (found.scopes !== limitedBy) {
      limitedBy = found.scopes
      const { scopes } = found
      const limited = scopes === undefined ? principal : narrowed(principal, scopes)
      admitted = Object.freeze({ ok: true, principal: limited })
    }
    if (subject === undefined) return admitted
    const blocked = subjects.isBlocked(id, subject, tenant, now)
    return blocked instanceof Promise ? blocked.then(verdictOf) : verdictOf(blocked)
  }
  return (now) => {
    const found = tenants.tenantAt(tenant, credential, now)
    return found instanceof Promise ? found.then((later) => judge(later, now)) : judge(found, now)
  }
}

function narrowed(principal: Principal, scopes: ScopeSet): Principal {
  return Object.freeze({
    ...principal,
    granted: meet(scopes, principal.granted),
    effective: meet(scopes, principal.effective),
  })
}
