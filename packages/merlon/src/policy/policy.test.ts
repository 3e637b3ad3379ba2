import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Principal, ScopeSet } from '../call.ts'
import { decide, type Requirement, visible } from './decide.ts'
import { holds, meet, noScopes, scopePattern, scopeSet, within } from './scopes.ts'

const names = ['read', 'write', 'admin', 'files:read', 'files:write', 'constructor'] as const
const scope = fc.constantFrom<string>(...names)
const scopes = fc.uniqueArray(scope, { maxLength: names.length }).map(scopeSet)

/** What a set reaches, name by name: two sets that reach the same are the same. `other` stands for every other scope. */
const reach = (set: ScopeSet): string => [...names, 'other'].filter((name) => holds(set, name)).join(' ')

describe('the lattice of scopes', () => {
  test('meet is commutative, associative and idempotent', () => {
    fc.assert(
      fc.property(scopes, scopes, scopes, (a, b, c) => {
        expect(reach(meet(a, b))).toBe(reach(meet(b, a)))
        expect(reach(meet(meet(a, b), c))).toBe(reach(meet(a, meet(b, c))))
        expect(reach(meet(a, a))).toBe(reach(a))
      }),
    )
  })

  test('AK-08: meet reaches exactly what both sides reach, and never more than either', () => {
    fc.assert(
      fc.property(scopes, scopes, scope, (a, b, name) => {
        const both = meet(a, b)
        expect(holds(both, name)).toBe(holds(a, name) && holds(b, name))
        expect(within(both, a)).toBe(true)
        expect(within(both, b)).toBe(true)
      }),
    )
  })

  test('AK-09: a set lies within another exactly where meeting it changes nothing', () => {
    fc.assert(
      fc.property(scopes, scopes, (a, b) => {
        expect(within(a, b)).toBe(reach(meet(a, b)) === reach(a))
      }),
    )
  })

  test('admin stands for every scope, and only admin reaches admin', () => {
    fc.assert(
      fc.property(scopes, scope, (set, name) => {
        expect(holds(scopeSet(['admin']), name)).toBe(true)
        expect(reach(meet(scopeSet(['admin']), set))).toBe(reach(set))
        expect(holds(set, 'admin')).toBe(set.has('admin'))
        expect(within(scopeSet(['admin']), set)).toBe(set.has('admin'))
      }),
    )
  })

  test('AU-01: the empty set reaches nothing, and nothing is left of what meets it', () => {
    fc.assert(
      fc.property(scopes, scope, (set, name) => {
        expect(holds(noScopes, name)).toBe(false)
        expect(meet(noScopes, set).size).toBe(0)
        expect(meet(set, noScopes).size).toBe(0)
        expect(within(noScopes, set)).toBe(true)
      }),
    )
  })

  test('a scope is a short lower-case word', () => {
    for (const good of ['read', 'files:write', 'a', 'a1.b_c-d', `a${'b'.repeat(63)}`])
      expect(good).toMatch(scopePattern)
    for (const bad of ['', 'Read', '1a', 'a b', 'a"b', 'a\n', `a${'b'.repeat(64)}`, '*', 'é'])
      expect(bad).not.toMatch(scopePattern)
  })
})

const requirement: fc.Arbitrary<Requirement> = fc.oneof(
  fc.constant('authenticated' as const),
  scope.map((name) => ({ scope: name })),
)
/** A principal whose credential never reaches beyond its role, as `identity` makes them. */
const principal = fc.tuple(scopes, scopes).map(
  ([granted, key]): Principal => ({
    id: 'u',
    kind: 'user',
    tenant: 't',
    credential: 'key_1',
    role: 'user',
    granted,
    effective: meet(granted, key),
    expiresAt: 0,
    binding: 'b',
  }),
)

describe('the one decision', () => {
  test('AU-03: what is callable is visible, and what is hidden is not', () => {
    fc.assert(
      fc.property(principal, requirement, (who, needed) => {
        const decision = decide(who, needed)
        if (decision.allowed) expect(visible(who, needed)).toBe(true)
        else if (decision.hidden) expect(visible(who, needed)).toBe(false)
      }),
    )
  })

  test('what is hidden names no scope; what only the credential lacks names the scope to ask for', () => {
    fc.assert(
      fc.property(principal, requirement, (who, needed) => {
        const decision = decide(who, needed)
        if (decision.allowed) return
        if (decision.hidden) expect(Object.keys(decision).sort()).toEqual(['allowed', 'hidden'])
        else if (who.effective.size > 0) {
          expect(needed).toEqual({ scope: decision.scope })
          expect(holds(who.granted, decision.scope)).toBe(true)
          expect(holds(who.effective, decision.scope)).toBe(false)
        }
      }),
    )
  })

  test('AU-01: a credential without any scope may do nothing, whatever its role', () => {
    fc.assert(
      fc.property(principal, requirement, (who, needed) => {
        expect(decide({ ...who, effective: noScopes }, needed)).toEqual({
          allowed: false,
          hidden: false,
          scope: 'read',
        })
        expect(visible({ ...who, granted: noScopes }, needed)).toBe(false)
      }),
    )
  })

  test('a call is allowed exactly where the credential reaches the scope', () => {
    fc.assert(
      fc.property(principal, scope, (who, name) => {
        expect(decide(who, { scope: name }).allowed).toBe(holds(who.effective, name))
        expect(decide(who, 'authenticated').allowed).toBe(who.effective.size > 0)
      }),
    )
  })
})
