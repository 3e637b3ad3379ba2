import { createSecretKey, randomBytes } from 'node:crypto'
import type { ScopeSet } from '../call.ts'
import { scopeSet } from '../policy/scopes.ts'
import { openSealer } from '../sealing/seal.ts'
import { memoryIdentity } from '../store/memory/identity-stores.ts'
import type { Actor } from './actor.ts'
import { Agents } from './agents.ts'
import { ChangePoll } from './change-poll.ts'
import { keyDigest } from './key-digest.ts'
import { KeyRing } from './key-ring.ts'
import { Keys } from './keys.ts'
import { type LoginBucket, LoginThrottle } from './login-throttle.ts'
import { Passwords } from './passwords.ts'
import { everyTenant } from './reach.ts'
import { type Change, Recorder } from './recorded.ts'
import { SecondFactors } from './second-factors.ts'
import { SignInRing } from './sign-in-ring.ts'
import { SignIns } from './sign-ins.ts'
import { Subjects } from './subjects.ts'
import { Tenants } from './tenants.ts'
import { Users } from './users.ts'

export const start = 1_800_000_000_000
export const minute = 60_000
export const hour = 60 * minute
export const attemptsMax = 10

export const roles: ReadonlyMap<string, ScopeSet> = new Map([
  ['user', scopeSet(['read', 'write'])],
  ['auditor', scopeSet(['read', 'audit:read'])],
  ['admin', scopeSet(['read', 'write', 'admin'])],
  ['operator', scopeSet(['read', 'write', 'admin'])],
])

export const password = 'correct horse battery'

/** Two tenants in memory: an operator, an admin and two users in `a`; an admin and a user in `b`. Passwords cost next to nothing. */
export async function openPeople() {
  const state = { now: start, recorded: [] as Change[], recordingFails: false }
  const clock = () => state.now
  const stores = memoryIdentity()
  const digest = keyDigest(createSecretKey(randomBytes(32)))
  const recorder = new Recorder(async (change) => {
    if (state.recordingFails) throw new Error('the disk is full')
    state.recorded.push(change)
  }, clock)
  const passwords = new Passwords({ random: randomBytes, cost: { memoryKib: 8, passes: 1, lanes: 1 } })
  const counted = new Map<string, number>()
  const nameOf = ({ per, name }: LoginBucket) => `${per} ${name}`
  const throttle = new LoginThrottle(
    {
      take(buckets) {
        const names = buckets.map(nameOf)
        if (names.some((name) => (counted.get(name) ?? 0) >= attemptsMax)) return 90_000
        for (const name of names) counted.set(name, (counted.get(name) ?? 0) + 1)
        return 0
      },
      giveBack(buckets) {
        for (const name of buckets.map(nameOf)) counted.set(name, (counted.get(name) ?? 0) - 1)
      },
    },
    (address) => (address.includes(':') ? address.slice(0, 4) : address),
  )
  const common = { clock, random: randomBytes, recorder }
  const users = new Users({ ...common, store: stores.users, tenants: stores.tenants, passwords, throttle, roles })
  const tenants = new Tenants({ ...common, store: stores.tenants })
  const agents = new Agents({ ...common, store: stores.agents, users: stores.users })
  const keys = new Keys({
    ...common,
    ...stores,
    store: stores.keys,
    digest,
    pepper: 'p1',
    lifetimeMs: 24 * hour,
    lifetimeMsMax: 48 * hour,
  })
  const secondFactors = new SecondFactors({
    ...{ ...common, store: stores.secondFactors, users: stores.users, signIns: stores.signIns },
    ...{ passwords, throttle, issuer: 'test', digest },
    sealer: openSealer(createSecretKey(randomBytes(32)), randomBytes),
  })
  const signIns = new SignIns({
    ...common,
    store: stores.signIns,
    users: stores.users,
    passwords,
    secondFactors,
    throttle,
    lifetimeMs: 12 * hour,
  })
  const subjects = new Subjects({ ...common, store: stores.subjects, issuers: new Set(['https://id.example']) })
  const poll = new ChangePoll({ store: stores.installation, clock, schedule: () => () => undefined })
  const keyRing = new KeyRing({ store: stores.keys, poll, digest, roles, clock })
  const signInRing = new SignInRing({ store: stores.signIns, poll, roles, clock })

  const phc = await passwords.hash(password)
  for (const [tenant, name, role] of [
    ['a', 'olga', 'operator'],
    ['a', 'ann', 'admin'],
    ['a', 'uma', 'user'],
    ['a', 'uri', 'user'],
    ['b', 'bob', 'admin'],
    ['b', 'bea', 'user'],
  ] as const) {
    await stores.tenants.ensureTenant(tenant, start)
    const email = `${name}@example.com`
    await stores.users.createUser(
      { id: `usr_${name}`, tenant, name, role, status: 'active', email, password: phc },
      start,
    )
  }
  const actor = (name: string, tenant: string, scopes: readonly string[]): Actor => ({
    id: `usr_${name}`,
    tenant,
    scopes: scopeSet(scopes),
  })
  const by = {
    olga: { ...actor('olga', 'a', ['read', 'write', 'admin']), tenant: everyTenant } satisfies Actor,
    ann: actor('ann', 'a', ['read', 'write', 'admin']),
    uma: actor('uma', 'a', ['read', 'write']),
    bob: actor('bob', 'b', ['read', 'write', 'admin']),
  }
  const lines = () => state.recorded.map(({ action, outcome }) => `${action} ${outcome}`)
  return {
    ...{
      state,
      stores,
      users,
      tenants,
      agents,
      keys,
      signIns,
      secondFactors,
      subjects,
      poll,
      keyRing,
      signInRing,
      passwords,
      by,
      lines,
    },
  }
}

export type People = Awaited<ReturnType<typeof openPeople>>

export const refusedWith = (reason: string) => ({ ok: false, reason })
