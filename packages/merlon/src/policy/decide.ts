import type { Principal } from '../call.ts'
import { holds } from './scopes.ts'

/**
 * What it takes to do something. `scope` names one scope; `'authenticated'` asks only for a credential that is good for
 * anything at all. There is no third kind: a thing without a requirement cannot be reached.
 */
export type Requirement = { readonly scope: string } | 'authenticated'

export type Decision =
  | { readonly allowed: true }
  /** The role reaches it but the credential does not: say which scope to ask for. */
  | { readonly allowed: false; readonly hidden: false; readonly scope: string }
  /** The role can never reach it: answer as if it were not there. */
  | { readonly allowed: false; readonly hidden: true }

const allowed: Decision = Object.freeze({ allowed: true })
const hidden: Decision = Object.freeze({ allowed: false, hidden: true })
const powerless: Decision = Object.freeze({ allowed: false, hidden: false, scope: 'read' })

/**
 * The one decision point: may this principal do what has this requirement?
 * Visible if the role grants it, callable if the credential has it. A principal without any scope may do nothing.
 */
export function decide(principal: Principal, requirement: Requirement): Decision {
  if (principal.effective.size === 0) return powerless
  if (requirement === 'authenticated') return allowed
  if (holds(principal.effective, requirement.scope)) return allowed
  if (holds(principal.granted, requirement.scope)) return { allowed: false, hidden: false, scope: requirement.scope }
  return hidden
}

/** Whether the principal may know that a thing with this requirement exists. */
export function visible(principal: Principal, requirement: Requirement): boolean {
  return requirement === 'authenticated' ? principal.granted.size > 0 : holds(principal.granted, requirement.scope)
}
