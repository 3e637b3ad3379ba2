import { describe, expect, test } from 'vitest'
import type { Awaitable } from '../call.ts'
import { Fault } from '../errors.ts'
import type { LimitStore, Refused, Taken } from '../limit/limit-store.ts'
import { Limiter } from '../limit/limiter.ts'
import { type RuleSettings, ruleOf } from '../limit/rules.ts'
import type { Method, Target } from '../method.ts'
import { MemoryLimitStore } from '../store/memory/limit-store.ts'
import { arrivalOf, gateWith, limiterWith, now, principalWith } from './arrival.fixture.ts'
import { proved } from './chain.ts'
import type { Gate } from './gate.ts'
import { limitAddress } from './limit-address.ts'
import { chargeRefused, limitCall, peekLimits, type Refusable, settle, takeLimits } from './limit-calls.ts'

const principal = principalWith(['read', 'write'])
const peek = peekLimits('mcp')

function callOf(gate: Gate, change: object = {}) {
  return {
    ...arrivalOf({}, gate),
    principal,
    address: '192.0.2.1',
    endpoint: 'mcp' as const,
    message: { kind: 'request', id: 1, method: 'tools/call', params: {} } as const,
    method: { audit: 'tool_access' } as Method,
    target: { requirement: { scope: 'write' }, name: 'save' } as Target,
    session: undefined,
    ...change,
  }
}
const exceeded = (reason: string, retryAfterMs: number) =>
  expect.objectContaining({ code: 'rate.exceeded', detail: expect.objectContaining({ reason, retryAfterMs }) })

describe('peekLimits', () => {
  test('RL-05: refuses a principal that has nothing left, and says of which limit and for how long', () => {
    const gate = gateWith({ limiter: limiterWith([{ callsMax: 2 }]) })
    for (let peeks = 0; peeks < 5; peeks++) expect(peek(callOf(gate))).toEqual({ endpoint: 'mcp' })
    takeLimits(callOf(gate))
    takeLimits(callOf(gate))
    expect(() => peek(callOf(gate))).toThrow(exceeded('calls', 30_000))
    const other = { ...principal, binding: 'somebody else' }
    expect(peek(callOf(gate, { principal: other }))).toEqual({ endpoint: 'mcp' })
  })

  test('a clock that is set back or forth neither locks a principal out nor lets it off', () => {
    let [clock, steady] = [2_000_000, 0]
    const gate = gateWith({
      clock: () => clock,
      steadyClock: () => steady,
      limiter: limiterWith([{ callsMax: 1 }]),
    })
    takeLimits(callOf(gate))
    clock += 3_600_000
    expect(() => peek(callOf(gate))).toThrow('rate.exceeded')
    clock -= 7_200_000
    steady += 60_000
    expect(peek(callOf(gate))).toEqual({ endpoint: 'mcp' })
  })
})

describe('takeLimits', () => {
  test('proves what is left, and refuses when nothing is', () => {
    const gate = gateWith({ limiter: limiterWith([{ callsMax: 2 }]) })
    expect(takeLimits(callOf(gate))).toMatchObject({ rate: { remaining: 1, refillMs: 30_000 }, reserved: undefined })
    takeLimits(callOf(gate))
    expect(() => takeLimits(callOf(gate))).toThrow(exceeded('calls', 30_000))
  })

  test('RL-05: of a bucket that others share the wait is told, and not the limit', () => {
    const gate = gateWith({ limiter: limiterWith([{ name: 'all', per: ['everyone'], tools: ['save'], callsMax: 1 }]) })
    takeLimits(callOf(gate))
    expect(() => takeLimits(callOf(gate))).toThrow(
      expect.objectContaining({ code: 'rate.exceeded', detail: { reason: 'all', retryAfterMs: 60_000 } }),
    )
  })

  test('counts by the tool, what it costs, its scope, the session and the address', () => {
    const room = (rule: Partial<RuleSettings>, change: object = {}) => {
      const gate = gateWith({ limiter: limiterWith([{ callsMax: 6, ...rule }]) })
      for (let taken = 0; taken < 20; taken++) {
        try {
          takeLimits(callOf(gate, change))
        } catch {
          return taken
        }
      }
      return undefined
    }
    expect(room({ tools: ['save'] })).toBe(6)
    expect(room({ tools: ['load'] })).toBeUndefined()
    // A prompt of the same name is no tool.
    expect(room({ tools: ['save'] }, { method: { audit: 'access' } })).toBeUndefined()
    expect(room({}, { target: { requirement: { scope: 'write' }, name: 'save', cost: 3 } })).toBe(2)
    expect(room({ scopes: ['write'] })).toBe(6)
    expect(room({ scopes: ['read'] })).toBeUndefined()
    expect(room({ scopes: ['read'] }, { target: { requirement: 'authenticated' } })).toBe(6)
    expect(room({ scopes: ['read'] }, { method: undefined, target: undefined })).toBe(6)
    expect(room({ per: ['session'] })).toBeUndefined()
    expect(room({ per: ['session'] }, { session: { id: 's1' } })).toBe(6)
    expect(room({ per: ['key', 'address'] })).toBe(6)
    expect(room({ methods: ['response'] }, { message: { kind: 'response', id: 1 } })).toBe(6)
  })

  test('RL-03: an IPv6 network is one address', () => {
    const gate = gateWith({ limiter: limiterWith([{ per: ['key', 'address'], callsMax: 1 }]) })
    takeLimits(callOf(gate, { address: '2001:db8:1:2::1' }))
    expect(() => takeLimits(callOf(gate, { address: '2001:db8:1:2::9' }))).toThrow('rate.exceeded')
    takeLimits(callOf(gate, { address: '2001:db8:1:3::1' }))
  })
})

describe('limitCall', () => {
  test('takes at once where there is no message to wait for', () => {
    const gate = gateWith({ limiter: limiterWith([{ callsMax: 1, methods: ['POST'], scopes: ['admin'] }]) })
    const limit = limitCall('control', 'admin')
    expect(limit(callOf(gate))).toMatchObject({ endpoint: 'control', rate: { remaining: 0 } })
    expect(() => limit(callOf(gate))).toThrow(exceeded('calls', 60_000))
    expect(limitCall('control')(callOf(gate))).toMatchObject({ rate: { limit: undefined } })
  })
})

describe('limitAddress', () => {
  test('RL-03: counts by address before it is known who calls; without such a rule nothing', () => {
    const gate = gateWith({ limiter: limiterWith([{ name: 'flood', per: ['address'], callsMax: 1 }]) })
    const arrive = (address: string) => () => limitAddress({ ...arrivalOf({}, gate), address })
    expect(arrive('2001:db8::1')()).toBe(proved)
    expect(arrive('2001:db8::2')).toThrow(
      expect.objectContaining({ code: 'rate.exceeded', detail: { reason: 'flood', retryAfterMs: 60_000 } }),
    )
    expect(arrive('192.0.2.1')()).toBe(proved)
    expect(limitAddress({ ...arrivalOf({}), address: 'a' })).toBe(proved)
  })
})

describe('chargeRefused', () => {
  const malformed = new Fault('body.malformed')
  const refuse = (gate: Gate, call: object = {}, fault = malformed) => {
    const refusable: Refusable = { ...arrivalOf({}, gate), principal, endpoint: 'mcp', ...call }
    return { call: refusable, fault: chargeRefused(refusable, fault) }
  }
  const left = ({ limiter }: Gate) => (limiter.takeRefused(principal, 'mcp', now) as Taken).remaining

  test('TR-25: what a known principal sends counts once, also where it is refused before it is known what it is', () => {
    const gate = gateWith({ limiter: limiterWith([{ callsMax: 3 }]) })
    const { call, fault } = refuse(gate)
    expect(fault).toBe(malformed)
    expect(call.rate).toMatchObject({ remaining: 2 })
    expect(left(gate)).toBe(1)
  })

  test('is refused for the limit where nothing is left', () => {
    const gate = gateWith({ limiter: limiterWith([{ callsMax: 1 }]) })
    refuse(gate)
    expect(refuse(gate).fault).toEqual(exceeded('calls', 60_000))
  })

  test('what has been counted, or was refused for a limit, does not count again', () => {
    const gate = gateWith({ limiter: limiterWith([{ callsMax: 3 }]) })
    const charged = takeLimits(callOf(gate)) as object
    refuse(gate, charged)
    refuse(gate, {}, new Fault('rate.exceeded'))
    expect(left(gate)).toBe(1)
  })

  test('of a stranger nothing is counted here', () => {
    const gate = gateWith({ limiter: limiterWith([{ callsMax: 3 }]) })
    refuse(gate, { principal: undefined })
    refuse(gate, { endpoint: undefined })
    expect(left(gate)).toBe(2)
  })

  test('RL-02: stays refused where it cannot be counted', async () => {
    for (const answer of [() => Promise.reject(new Fault('store.unavailable')), () => thrown()]) {
      const gate = gateWith({ limiter: limiterOver(answer) })
      expect(await refuse(gate).fault).toBe(malformed)
    }
  })
})

describe('RL-02: a store that takes its time or is gone', () => {
  test('is waited for, and its answer holds', async () => {
    const memory = new MemoryLimitStore()
    const gate = gateWith({ limiter: limiterOver(async (...args) => memory.take(...args)) })
    expect(await takeLimits(callOf(gate))).toMatchObject({ rate: { remaining: 0 } })
    await expect(takeLimits(callOf(gate))).rejects.toMatchObject({ code: 'rate.exceeded' })
    await expect(limitCall('mcp')(callOf(gate))).rejects.toMatchObject({ code: 'rate.exceeded' })
  })

  test('admits nothing', async () => {
    const gate = gateWith({ limiter: limiterOver(() => Promise.reject(new Fault('store.unavailable'))) })
    await expect(takeLimits(callOf(gate))).rejects.toMatchObject({ code: 'store.unavailable' })
    await expect(limitCall('mcp')(callOf(gate))).rejects.toMatchObject({ code: 'store.unavailable' })
  })
})

describe('settle', () => {
  const left = (count: RuleSettings['count'], fault: Fault | undefined) => {
    const gate = gateWith({ limiter: limiterWith([{ callsMax: 5, count }]) })
    const { reserved } = takeLimits(callOf(gate)) as { reserved: Parameters<typeof settle>[1] }
    settle(gate, reserved, fault)
    const { rate } = takeLimits(callOf(gate)) as { rate: Taken }
    return rate.remaining
  }

  test('gives back what counts the other end alone', () => {
    expect([left('all', undefined), left('all', new Fault('tool.timeout'))]).toEqual([3, 3])
    expect([left('failures', undefined), left('failures', new Fault('tool.timeout'))]).toEqual([4, 3])
    expect([left('successes', undefined), left('successes', new Fault('tool.timeout'))]).toEqual([3, 4])
  })

  test('and nothing where the client gave up: leaving is no way around a limit', () => {
    const cancelled = new Fault('call.cancelled')
    expect([left('failures', cancelled), left('successes', cancelled)]).toEqual([3, 3])
  })
})

function thrown(): never {
  throw new Fault('store.unavailable')
}

/** Counts one call of a credential, in a store that answers so. */
function limiterOver(take: (...args: Parameters<LimitStore['take']>) => Awaitable<Taken | Refused>): Limiter {
  const memory = new MemoryLimitStore()
  const store: LimitStore = {
    state: 'shared',
    take,
    peek: () => undefined,
    giveBack: (takes, at) => memory.giveBack(takes, at),
    sweep: () => 0,
    close: () => undefined,
  }
  const rule = {
    name: 'calls',
    per: ['key'],
    callsMax: 1,
    windowMs: 60_000,
    count: 'all',
    onStoreFailure: 'deny',
  } as const
  return new Limiter({ store, rules: [ruleOf(rule)], failuresMax: 10 })
}
