import type { ScopeSet } from '../call.ts'

/** The scope that stands for every scope. */
export const adminScope = 'admin'

/** A scope is 1 to 64 of `a-z 0-9 : . _ -`, beginning with a letter: `read`, `files:write`. */
export const scopePattern = /^[a-z][a-z0-9:._-]{0,63}$/

export const noScopes: ScopeSet = Object.freeze(new Set<string>())

export function scopeSet(scopes: Iterable<string>): ScopeSet {
  return new Set(scopes)
}

/** Whether the set reaches the scope. `admin` reaches every scope; the empty set reaches none. */
export function holds(scopes: ScopeSet, scope: string): boolean {
  return scopes.has(scope) || scopes.has(adminScope)
}

/** What both sets reach. `admin` on one side leaves the other side as it is. */
export function meet(left: ScopeSet, right: ScopeSet): ScopeSet {
  if (left.has(adminScope)) return right
  if (right.has(adminScope)) return left
  const both = new Set<string>()
  for (const scope of left) if (right.has(scope)) both.add(scope)
  return both
}

/** Whether `inner` reaches nothing that `outer` does not. Nobody grants more than they hold. */
export function within(inner: ScopeSet, outer: ScopeSet): boolean {
  for (const scope of inner) if (!holds(outer, scope)) return false
  return true
}
