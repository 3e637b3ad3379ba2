import type { Principal, ScopeSet } from '../call.ts'
import { adminScope, holds, scopeSet, within } from '../policy/scopes.ts'
import { everyTenant, type TenantReach } from './reach.ts'
import { operatorRole } from './user-store.ts'

/** Who asks for something: how far they reach, and what they hold. */
export interface Actor {
  /** For the record: the id of a user or an agent, or `local-operator`. */
  readonly id: string
  readonly tenant: TenantReach
  readonly scopes: ScopeSet
  /** The sign-in they ask with, if it is one. */
  readonly signIn?: string
}

/** Whoever can run the command line beside the data folder: they hold the root key and the database already. */
export const localOperator: Actor = Object.freeze({
  id: 'local-operator',
  tenant: everyTenant,
  scopes: scopeSet([adminScope]),
})

/** A principal as one who asks. The role `operator` reaches every tenant, every other role its own. */
export function actorOf(principal: Principal): Actor {
  const { id, role, tenant, effective, credential } = principal
  return {
    id,
    tenant: role === operatorRole && principal.kind === 'user' ? everyTenant : tenant,
    scopes: effective,
    ...(isSignIn(credential) ? { signIn: credential } : {}),
  }
}

/** Whether the public id of a credential is that of a sign-in: one of our own tokens was shown. */
export function isSignIn(credential: string): boolean {
  return credential.startsWith('sgn_')
}

export function reaches(by: Actor, tenant: string): boolean {
  return by.tenant === everyTenant || by.tenant === tenant
}

/** Whether they may manage what belongs to others in the tenant. */
export function administers(by: Actor, tenant: string): boolean {
  return reaches(by, tenant) && holds(by.scopes, adminScope)
}

/** Whether they manage the installation: tenants, and who is an operator. */
export function operates(by: Actor): boolean {
  return by.tenant === everyTenant && holds(by.scopes, adminScope)
}

/** Nobody grants more than they hold, nor makes an operator who is not one (AK-09, AU-11). */
export function mayGrant(by: Actor, role: string, scopes: ScopeSet): boolean {
  return within(scopes, by.scopes) && (role !== operatorRole || operates(by))
}
