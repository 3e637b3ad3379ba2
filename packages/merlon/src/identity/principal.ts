import type { Instant, Principal, ScopeSet } from '../call.ts'
import { meet, noScopes, scopeSet } from '../policy/scopes.ts'
import type { CredentialUser } from './user-store.ts'

/** What a principal rests on, whatever credential was shown. */
export interface Grounds {
  readonly kind: 'key' | 'sign-in'
  /** The public id of the credential. */
  readonly credential: string
  /** Who acts, or whose agent. Their role bounds it. */
  readonly user: CredentialUser
  /** The id of the agent that acts. */
  readonly agent?: string | undefined
  /** What the credential is limited to. `undefined`: to nothing beyond the role. */
  readonly scopes: readonly string[] | undefined
  /** What the tenant is limited to. `undefined`: to nothing. */
  readonly tenantScopes: readonly string[] | undefined
  readonly expiresAt: Instant
}

/**
 * Who acts, and what they may do: what the credential, the role and the tenant all grant (AK-08). A role that the
 * configuration does not name grants nothing.
 */
export function principalOf(grounds: Grounds, roles: ReadonlyMap<string, ScopeSet>): Principal {
  const { user, agent, credential, expiresAt } = grounds
  const { tenant, role } = user
  const ofRole = roles.get(role) ?? noScopes
  const granted = grounds.tenantScopes === undefined ? ofRole : meet(scopeSet(grounds.tenantScopes), ofRole)
  const effective = grounds.scopes === undefined ? granted : meet(scopeSet(grounds.scopes), granted)
  const kind = agent === undefined ? 'user' : 'agent'
  const id = agent ?? user.id
  // What a sign-in opens is its user's, and outlives the sign-in; what a key opens is the key's.
  const bound = grounds.kind === 'key' ? credential : 'sign-in'
  const binding = [tenant, kind, id, bound].join('\n')
  return Object.freeze({ id, kind, tenant, credential, role, granted, effective, expiresAt, binding })
}

/** The same principal by a credential that grants less, or ends sooner. */
export function narrowed(principal: Principal, scopes: readonly string[] | undefined, expiresAt: Instant): Principal {
  return Object.freeze({
    ...principal,
    effective: scopes === undefined ? principal.effective : meet(scopeSet(scopes), principal.effective),
    expiresAt: Math.min(principal.expiresAt, expiresAt),
  })
}

/** What a principal may do, as a text that is the same for the same rights. */
export function rightsOf({ role, granted, effective }: Principal): string {
  return [role, ...[...granted].sort(), '', ...[...effective].sort()].join(' ')
}
