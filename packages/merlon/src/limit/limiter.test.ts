import { describe, expect, test } from 'vitest'
import type { Principal } from '../call.ts'
import { scopeSet } from '../policy/scopes.ts'
import { MemoryLimitStore } from '../store/memory/limit-store.ts'
import type { Refused, Taken } from './limit-store.ts'
import { Limiter } from './limiter.ts'
import { countedScope, type RuleSettings, ruleOf, rulesOf, unaffordable } from './rules.ts'

const now = 1_000_000
const usual = {
  name: 'calls',
  per: ['key'],
  callsMax: 2,
  windowMs: 60_000,
  count: 'all',
  onStoreFailure: 'deny',
} as const

function limiterOf(...rules: Partial<RuleSettings>[]): Limiter {
  return new Limiter({
    store: new MemoryLimitStore(),
    rules: rules.map((rule, at) => ruleOf({ ...usual, name: `rule-${at}`, ...rule })),
    failuresMax: 10,
  })
}

function principalOf(change: Partial<Principal> = {}): Principal {
  const { tenant = 't1', kind = 'user', id = 'alice', credential = 'key_1' } = change
  return {
    id,
    kind,
    tenant,
    credential,
    role: 'user',
    granted: scopeSet([]),
    effective: scopeSet([]),
    expiresAt: now * 2,
    binding: [tenant, kind, id, credential].join('\n'),
    ...change,
  }
}

interface Call {
  readonly who?: Principal
  readonly endpoint?: 'mcp' | 'control'
  readonly method?: string
  readonly scope?: string | undefined
  readonly tool?: string
  readonly cost?: number
  readonly session?: string
  readonly address?: string
}

const alice = principalOf()

function take(limiter: Limiter, call: Call = {}): Taken | Refused {
  const { who = alice, endpoint = 'mcp', method = 'tools/call', scope, tool, cost = 1, session, address = 'a' } = call
  const plan = limiter.plan(who, endpoint, method, scope, tool, cost)
  return limiter.take(plan, session, address, now) as Taken | Refused
}

/** How many such calls are let in. */
function room(limiter: Limiter, call: Call = {}): number {
  for (let taken = 0; taken < 1_000; taken++) if (!take(limiter, call).ok) return taken
  return Number.POSITIVE_INFINITY
}

describe('RL-03: a rule counts apart', () => {
  test.each<[RuleSettings['per'][number], Call, Call]>([
    ['key', {}, { who: principalOf({ credential: 'key_2' }) }],
    ['principal', {}, { who: principalOf({ id: 'bob' }) }],
    ['principal', {}, { who: principalOf({ tenant: 't2' }) }],
    ['principal', {}, { who: principalOf({ kind: 'external' }) }],
    ['tenant', {}, { who: principalOf({ tenant: 't2' }) }],
    ['scope', { scope: 'read' }, { scope: 'write' }],
    ['endpoint', {}, { endpoint: 'control' }],
    ['tool', { tool: 'a' }, { tool: 'b' }],
    ['session', { session: 's1' }, { session: 's2' }],
    ['address', { address: 'a' }, { address: 'b' }],
    ['agent', { who: principalOf({ kind: 'agent' }) }, { who: principalOf({ kind: 'agent', id: 'bob' }) }],
  ])('by %s', (each, one, other) => {
    // With the key beside it, so that it is asked for when it is known who calls.
    const limiter = limiterOf({ per: each === 'address' ? ['tenant', 'address'] : [each] })
    expect(room(limiter, one)).toBe(2)
    expect(room(limiter, other)).toBe(2)
    expect(room(limiter, one)).toBe(0)
  })

  test.each<[RuleSettings['per'][number], Call, Call]>([
    ['principal', {}, { who: principalOf({ credential: 'key_2' }) }],
    ['tenant', {}, { who: principalOf({ id: 'bob' }) }],
    ['tool', { tool: 'a' }, { tool: 'a', who: principalOf({ tenant: 't2' }) }],
    ['key', {}, { endpoint: 'control' }],
  ])('and by %s alone', (each, one, other) => {
    const limiter = limiterOf({ per: [each] })
    expect(room(limiter, one)).toBe(2)
    expect(room(limiter, other)).toBe(0)
  })

  test('by the credential whatever object stands for it', () => {
    const limiter = limiterOf({})
    expect(room(limiter, { who: principalOf() })).toBe(2)
    expect(room(limiter, { who: principalOf() })).toBe(0)
  })

  test('and leaves out what lacks that by which it counts', () => {
    const limiter = limiterOf({ per: ['tool'] }, { per: ['session'] }, { per: ['agent'] })
    expect(room(limiter, { method: 'tools/list' })).toBe(Number.POSITIVE_INFINITY)
  })
})

describe('a rule applies', () => {
  test.each<[string, Partial<RuleSettings>, Call, Call]>([
    ['to its scopes', { scopes: ['admin'] }, { scope: 'admin' }, { scope: 'read' }],
    ['to its tools', { tools: ['save'] }, { tool: 'save' }, { tool: 'load' }],
    ['to its tools alone', { tools: ['save'] }, { tool: 'save' }, { method: 'save' }],
    ['to its methods', { methods: ['GET'] }, { method: 'GET' }, { method: 'tools/list' }],
    ['to its endpoints', { endpoints: ['control'] }, { endpoint: 'control' }, {}],
  ])('%s', (_, rule, held, free) => {
    const limiter = limiterOf(rule)
    expect(room(limiter, held)).toBe(2)
    expect(room(limiter, free)).toBe(Number.POSITIVE_INFINITY)
  })

  test('what asks for no scope counts as read, and an own scope as write unless a rule names it', () => {
    const none = new Set<string>()
    expect(countedScope(undefined, none)).toBe('read')
    expect(countedScope('admin', none)).toBe('admin')
    expect(countedScope('files:write', none)).toBe('write')
    expect(countedScope('files:write', new Set(['files:write']))).toBe('files:write')
    const limiter = limiterOf({ scopes: ['write'] }, { name: 'files', scopes: ['files:write'], callsMax: 3 })
    expect(room(limiter, { scope: 'files:write' })).toBe(3)
    expect(room(limiter, { scope: 'vault:open' })).toBe(2)
    expect(room(limiter, { scope: 'write' })).toBe(0)
  })

  test('RL-01: a call is held to all that apply, and where one refuses none is charged', () => {
    const limiter = limiterOf({ callsMax: 10 }, { per: ['tenant'], scopes: ['write'], callsMax: 3 })
    expect(room(limiter, { scope: 'write' })).toBe(3)
    expect(room(limiter, { scope: 'read' })).toBe(7)
  })
})

describe('RL-06: a call costs', () => {
  test('what its tool says, and what a rule says whatever the tool does', () => {
    const limiter = limiterOf({ callsMax: 10 })
    expect(room(limiter, { tool: 'dear', cost: 4 })).toBe(2)
    expect(room(limiter, { tool: 'cheap' })).toBe(2)
    expect(room(limiterOf({ callsMax: 10, cost: 3 }), { tool: 'dear', cost: 4 })).toBe(3)
  })
})

describe('before it is known what is asked', () => {
  test('a principal that has nothing left is known, and one that has is not charged', () => {
    const limiter = limiterOf({}, { per: ['tenant'], scopes: ['read'], callsMax: 1 })
    for (let peek = 0; peek < 10; peek++) expect(limiter.peek(alice, 'mcp', now)).toBeUndefined()
    // What it asks for may be another thing than what it has used up.
    take(limiter, { scope: 'read' })
    expect(limiter.peek(alice, 'mcp', now)).toBeUndefined()
    take(limiter, { scope: 'write' })
    expect(limiter.peek(alice, 'mcp', now)).toMatchObject({ ok: false, retryAfterMs: 30_000 })
  })

  test('TR-25: what is refused then is charged to what counts all that a principal sends', () => {
    const limiter = limiterOf({}, { scopes: ['read'] }, { per: ['tenant'], count: 'successes' })
    expect(limiter.takeRefused(alice, 'mcp', now)).toMatchObject({ ok: true, remaining: 1 })
    expect(room(limiter, { scope: 'write' })).toBe(1)
    expect(limiter.takeRefused(alice, 'mcp', now)).toMatchObject({ ok: false })
  })

  test('RL-03: what needs the address alone is counted before anybody is asked who he is', () => {
    const limiter = limiterOf({ per: ['address'] }, { per: ['everyone'], callsMax: 3 })
    expect(limiter.limitsArrivals).toBe(true)
    const arrive = (address: string) => (limiter.takeArrival(address, now) as Taken | Refused).ok
    expect([arrive('a'), arrive('a'), arrive('a'), arrive('b'), arrive('c')]).toEqual([true, true, false, true, false])
    expect(room(limiter)).toBe(Number.POSITIVE_INFINITY)
    expect(limiterOf({}, { per: ['address', 'key'] }, { per: ['everyone'], scopes: ['read'] }).limitsArrivals).toBe(
      false,
    )
  })
})

describe('what is given back', () => {
  test('is what counts failures, after a success, and what counts successes, after a failure', () => {
    const limiter = limiterOf({ count: 'failures' }, { count: 'successes', per: ['session'] })
    const plan = limiter.plan(alice, 'mcp', 'tools/call', 'read', 'save', 1)
    const reserved = limiter.reserved(plan, 's1', 'a')
    expect(reserved?.afterSuccess.map(({ bucket }) => bucket)).toEqual(['rule-0\nt1\nuser\nalice\nkey_1'])
    expect(reserved?.afterFailure.map(({ bucket }) => bucket)).toEqual(['rule-1\ns1'])
  })

  test('is nothing where every call counts', () => {
    const limiter = limiterOf({}, { per: ['session'] })
    expect(limiter.reserved(limiter.plan(alice, 'mcp', 'm', undefined, undefined, 1), 's1', 'a')).toBeUndefined()
  })
})

describe('failed authentications', () => {
  const fail = (limiter: Limiter, at: number, credential?: string, address = 'a') =>
    limiter.takeFailure(address, credential, at) as Taken | Refused

  test('RL-04: the wait between guesses doubles with every level that is used up, and ends with what was guessed', () => {
    const limiter = limiterOf()
    const waits = new Set<number>()
    let at = now
    for (let guess = 0; guess < 2_000; ) {
      const answer = fail(limiter, at)
      if (answer.ok) guess++
      else {
        waits.add(answer.retryAfterMs)
        at += answer.retryAfterMs
      }
    }
    const doubling = [6_000, 12_000, 24_000, 48_000, 96_000, 192_000]
    expect([...waits].filter((wait) => doubling.includes(wait))).toEqual(doubling)
    expect(Math.max(...waits)).toBe(192_000)
    expect(fail(limiter, at + 61_440_000).ok).toBe(true)
    expect(fail(limiter, at, undefined, 'b').ok).toBe(true)
  })

  test('RL-03: one key from one address is guessed at half as often, and its text makes no bucket', () => {
    const limiter = limiterOf()
    const store = limiter.store as MemoryLimitStore
    for (let guess = 0; guess < 5; guess++) expect(fail(limiter, now, 'key_1').ok).toBe(true)
    expect(fail(limiter, now, 'key_1')).toMatchObject({ ok: false, limit: { name: 'failures-of-key' } })
    expect(fail(limiter, now, 'key_1', 'b').ok).toBe(true)
    const many = limiterOf()
    for (let guess = 0; guess < 1_000; guess++) fail(many, now + guess * 200_000, `key_${guess}`)
    expect((many.store as MemoryLimitStore).size).toBeLessThanOrEqual(6 + 16)
    expect(store.size).toBe(6 + 6 + 2)
  })
})

test('the rules in force are the one for each credential and those of the configuration, or none', () => {
  const settings = {
    enabled: true,
    callsMax: 600,
    windowMs: 60_000,
    count: 'all',
    rules: [{ ...usual, name: 'own' }],
  } as const
  expect(rulesOf(settings).map(({ limit }) => limit.name)).toEqual(['calls', 'own'])
  expect(rulesOf({ ...settings, enabled: false })).toEqual([])
})

test('a tool that costs more than a limit ever holds is known beforehand', () => {
  const rules = [
    ruleOf({ ...usual, name: 'calls', callsMax: 10 }),
    ruleOf({ ...usual, name: 'write', scopes: ['write'], callsMax: 3 }),
    ruleOf({ ...usual, name: 'flat', callsMax: 1, cost: 1 }),
    ruleOf({ ...usual, name: 'other', tools: ['load'], callsMax: 1 }),
  ]
  const of = (cost: number, scope: string | undefined = 'files:write') =>
    unaffordable(rules, { name: 'save', scope, cost })
  expect([of(1), of(3), of(4), of(11), of(4, 'read')]).toEqual([[], [], ['write'], ['calls', 'write'], []])
})

test('RL-05: what is left is told of buckets that no other tenant shares', () => {
  const told = (per: RuleSettings['per']) => ruleOf({ ...usual, per }).limit.told
  for (const each of ['tenant', 'principal', 'key', 'agent', 'session'] as const)
    expect(told([each, 'tool'])).toBe(true)
  for (const per of [['address'], ['everyone'], ['tool', 'scope'], ['endpoint']] as const) expect(told(per)).toBe(false)
})

test('RL-03: failures and arrivals from addresses without number take no room from those who are known', () => {
  const store = new MemoryLimitStore(40)
  const rules = [ruleOf({ ...usual, name: 'arrivals', per: ['address'] }), ruleOf(usual)]
  const limiter = new Limiter({ store, rules, failuresMax: 10 })
  const failed = (address: number) => (limiter.takeFailure(`2001:db8::${address}`, 'key_x', now) as { ok: boolean }).ok
  // Six waits that double, and the key: seven buckets for each address.
  expect(Array.from({ length: 9 }, (_, at) => failed(at))).toEqual([true, true, ...Array(7).fill(false)])
  const arrived = (address: string) => (limiter.takeArrival(address, now) as { ok: boolean }).ok
  expect(Array.from({ length: 9 }, (_, at) => arrived(`a${at}`))).toEqual([...Array(6).fill(true), false, false, false])
  expect(
    Array.from({ length: 20 }, (_, at) => take(limiter, { who: principalOf({ credential: `key_${at}` }) }).ok),
  ).toEqual(Array(20).fill(true))
})
