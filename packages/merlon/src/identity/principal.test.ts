import fc from 'fast-check'
import { expect, test } from 'vitest'
import { holds, scopeSet } from '../policy/scopes.ts'
import type { Grounds } from './principal.ts'
import { narrowed, principalOf } from './principal.ts'

const names = ['read', 'write', 'admin', 'files:write', 'audit:read']
const some = fc.uniqueArray(fc.constantFrom(...names))
const limit = fc.option(some, { nil: undefined })
const user = { id: 'usr_1', tenant: 'a', name: 'ann', role: 'role', status: 'active' } as const
const grounds: Grounds = {
  ...{ kind: 'key', credential: 'key_1', user, scopes: ['read'], tenantScopes: undefined, expiresAt: 2_000 },
}
const reaches = (scopes: readonly string[] | undefined, scope: string) =>
  scopes === undefined || holds(scopeSet(scopes), scope)

test('AK-08: what may be done is what credential, role and tenant all grant, and nothing else', () => {
  fc.assert(
    fc.property(limit, some, limit, (scopes, role, tenantScopes) => {
      const roles = new Map([['role', scopeSet(role)]])
      const { effective, granted } = principalOf({ ...grounds, scopes, tenantScopes }, roles)
      for (const scope of names) {
        expect(holds(effective, scope)).toBe(
          reaches(scopes, scope) && reaches(role, scope) && reaches(tenantScopes, scope),
        )
        expect(holds(granted, scope)).toBe(reaches(role, scope) && reaches(tenantScopes, scope))
      }
    }),
    { numRuns: 1_000 },
  )
})

test('AU-01: an empty list, and a role that nobody declared, grant nothing', () => {
  const everything = new Map([['role', scopeSet(['admin'])]])
  for (const [over, roles] of [
    [{ scopes: [] }, everything],
    [{ tenantScopes: [] }, everything],
    [{}, new Map([['role', scopeSet([])]])],
    [{}, new Map()],
    [{ user: { ...user, role: 'constructor' } }, everything],
  ] as const)
    expect([...principalOf({ ...grounds, ...over }, roles).effective]).toEqual([])
})

test('a token narrows what its sign-in grants, and never widens or outlives it', () => {
  const roles = new Map([['role', scopeSet(['read', 'write'])]])
  const principal = principalOf({ ...grounds, kind: 'sign-in', credential: 'sgn_1', scopes: undefined }, roles)
  expect([...narrowed(principal, ['write', 'admin'], 9_000).effective].sort()).toEqual(['read', 'write'])
  expect([...narrowed(principal, ['write', 'files:write'], 1_000).effective]).toEqual(['write'])
  expect(narrowed(principal, undefined, 9_000)).toEqual(principal)
  expect(narrowed(principal, [], 1_000)).toMatchObject({ expiresAt: 1_000, granted: principal.granted })
})

test('what a key opens is bound to the key, what a sign-in opens to its user, and an agent is not its owner', () => {
  const bindings = [
    grounds,
    { ...grounds, credential: 'key_2' },
    { ...grounds, agent: 'agt_1' },
    { ...grounds, kind: 'sign-in' as const, credential: 'sgn_1' },
    { ...grounds, kind: 'sign-in' as const, credential: 'sgn_2' },
  ].map((each) => principalOf(each, new Map()).binding)
  expect(bindings[3]).toBe(bindings[4])
  expect(new Set(bindings).size).toBe(4)
})
