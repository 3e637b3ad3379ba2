import { describe, expect, test } from 'vitest'
import type { Fault } from '../errors.ts'
import { AllRunning, type Running } from './running.ts'

const now = 1_800_000_000_000

/** Something that goes on until it is withdrawn, and takes itself off the list then. */
function begin(all: AllRunning, change: Partial<Running> = {}) {
  const ended: string[] = []
  let patient = 0
  const running: Running = {
    credential: 'key_1',
    binding: 't1 key_1',
    tenant: 't1',
    tool: undefined,
    deadline: now + 30_000,
    credentialEndsAt: now + 1_000_000,
    startedAt: now,
    withdraw: (fault: Fault) => {
      ended.push(fault.code)
      all.remove(running)
    },
    bePatient: () => void patient++,
    ...change,
  }
  if (running.deadline === Number.POSITIVE_INFINITY) all.addStream(running, 100)
  else all.add(running)
  return { running, ended, patience: () => patient }
}
const stream = { deadline: Number.POSITIVE_INFINITY }

describe('what goes on', () => {
  test('ends with its deadline, to the millisecond', () => {
    const all = new AllRunning()
    const call = begin(all)
    all.sweep(now + 29_999)
    expect(call.ended).toEqual([])
    all.sweep(now + 30_000)
    expect(call.ended).toEqual(['tool.timeout'])
    expect(all.size).toBe(0)
  })

  test('RS-12: ends with its credential, a stream too', () => {
    const all = new AllRunning()
    const calls = [begin(all, { credentialEndsAt: now + 10 }), begin(all, { ...stream, credentialEndsAt: now + 10 })]
    all.sweep(now + 9)
    expect(all.size).toBe(2)
    all.sweep(now + 10)
    for (const call of calls) expect(call.ended).toEqual(['credential.invalid'])
  })

  test('RS-12: ends when who vouches for its credential takes that back, or says it no longer', () => {
    const all = new AllRunning()
    let over: 'withdrawn' | 'unrenewed' | undefined
    const both = () => [
      begin(all, { vouched: { over: () => over } }),
      begin(all, { ...stream, vouched: { over: () => over } }),
    ]
    const refused = both()
    all.sweep(now)
    expect(refused.map(({ ended }) => ended)).toEqual([[], []])
    over = 'withdrawn'
    all.sweep(now)
    expect(refused.map(({ ended }) => ended)).toEqual([['credential.invalid'], ['credential.invalid']])
    over = 'unrenewed'
    // That it could not be asked is not the caller's bad credential.
    const unasked = both()
    all.sweep(now)
    expect(unasked.map(({ ended }) => ended)).toEqual([['store.unavailable'], ['store.unavailable']])
    expect(all.size).toBe(0)
  })

  test('AK-07: ends when its credential is withdrawn, and nothing else does', () => {
    const all = new AllRunning()
    const [mine, held, other] = [begin(all), begin(all, stream), begin(all, { credential: 'key_2' })]
    all.withdraw('key_1', now)
    expect([mine.ended, held.ended, other.ended]).toEqual([['credential.invalid'], ['credential.invalid'], []])
  })

  test('AU-04: what a credential began in one tenant ends with it there, and not in another', () => {
    const all = new AllRunning()
    const [here, there] = [begin(all, stream), begin(all, { ...stream, tenant: 't2' })]
    all.withdraw('key_1', now, 't1')
    expect([here.ended, there.ended]).toEqual([['credential.invalid'], []])
    expect(() => begin(all, stream)).toThrow(expect.objectContaining({ code: 'credential.invalid' }))
    expect(begin(all, { ...stream, tenant: 't2' }).ended).toEqual([])
    all.renew('key_1', 't1')
    expect(there.ended).toEqual([])
    all.renew('key_1', 't2')
    expect(there.ended).toEqual(['server.draining'])
    all.sweep(now + 120_000)
    expect(begin(all, stream).ended).toEqual([])
  })

  test('AK-07: ends when its credential was withdrawn on its way here; what began later goes on', () => {
    const all = new AllRunning()
    all.withdraw('key_1', now)
    expect(begin(all).ended).toEqual(['credential.invalid'])
    expect(() => begin(all, stream)).toThrow(expect.objectContaining({ code: 'credential.invalid' }))
    expect(begin(all, { credential: 'key_2' }).ended).toEqual([])
    // Its owner was enabled again.
    expect(begin(all, { startedAt: now + 1 }).ended).toEqual([])
    all.sweep(now + 120_000)
    expect(begin(all, { startedAt: now, deadline: now + 200_000 }).ended).toEqual([])
  })

  test('is given patience once it has gone on for a while', () => {
    const all = new AllRunning()
    const call = begin(all)
    all.sweep(now + 9_999)
    expect(call.patience()).toBe(0)
    all.sweep(now + 10_000)
    expect(call.patience()).toBe(1)
  })

  test('RL-17: streams are bounded for each principal, namesakes of other tenants apart; calls do not count', () => {
    const all = new AllRunning()
    const add = (binding: string) =>
      all.addStream(begin(new AllRunning(), { ...stream, credential: 'external:alice', binding }).running, 2)
    begin(all)
    add('t1 alice')
    add('t1 alice')
    expect(() => add('t1 alice')).toThrow(
      expect.objectContaining({ code: 'capacity.exceeded', detail: { reason: 'streams', retryAfterMs: 5_000 } }),
    )
    add('t2 alice')
    expect(all.size).toBe(4)
  })
})

describe('draining', () => {
  test('ends streams at once, lets calls finish, and is over with the last of them', async () => {
    const all = new AllRunning()
    const held = begin(all, stream)
    const calls = [begin(all), begin(all)]
    let drained = false
    const draining = all.drain(60_000).then(() => {
      drained = true
    })
    expect(held.ended).toEqual(['server.draining'])
    all.remove(calls[0]!.running)
    await Promise.resolve()
    expect(drained).toBe(false)
    all.remove(calls[1]!.running)
    await draining
    for (const call of calls) expect(call.ended).toEqual([])
  })

  test('ends what does not finish in time', async () => {
    const all = new AllRunning()
    const call = begin(all)
    await all.drain(0)
    expect(call.ended).toEqual(['server.draining'])
    expect(all.size).toBe(0)
  })

  test('is over at once where nothing goes on', async () => {
    await new AllRunning().drain(60_000)
  })
})

const room = (all: AllRunning, binding: string, perPrincipal: number) => () =>
  all.checkRoom(
    { binding, tenant: binding.slice(0, 2), tool: undefined },
    { perPrincipal, perTenant: 100, perTool: 100 },
  )

test('RL-06: a principal has so many calls under way and no more, and another principal its own', () => {
  const all = new AllRunning()
  const calls = [begin(all), begin(all), begin(all, { binding: 't2 key_2', tenant: 't2' })]
  expect(room(all, 't1 key_1', 3)).not.toThrow()
  expect(room(all, 't1 key_1', 2)).toThrow(expect.objectContaining({ code: 'capacity.exceeded' }))
  expect(room(all, 't2 key_2', 2)).not.toThrow()
  all.remove(calls[0]!.running)
  all.remove(calls[0]!.running)
  expect(room(all, 't1 key_1', 2)).not.toThrow()
})

test('a stream takes no place among the calls, however often it is told of', () => {
  const all = new AllRunning()
  const { running } = begin(all, stream)
  all.add(running)
  expect(room(all, 't1 key_1', 1)).not.toThrow()
})

test('AU-09: what a credential may do has changed: its streams end and are opened anew, its calls go on', () => {
  const all = new AllRunning()
  const [call, held, other] = [begin(all), begin(all, stream), begin(all, { ...stream, credential: 'key_2' })]
  all.renew('key_1')
  expect(held.ended).toEqual(['server.draining'])
  expect([...call.ended, ...other.ended]).toEqual([])
})

test('AS-14: the streams of all credentials of a kind end, and no others', () => {
  const all = new AllRunning()
  const of = (credential: string) => begin(all, { ...stream, credential })
  const [one, two, key] = [of('sgn_1'), of('sgn_2'), of('key_1')]
  const call = begin(all, { credential: 'sgn_1' })
  all.renewAll((credential) => credential.startsWith('sgn_'))
  expect([one, two, key, call].map(({ ended }) => ended)).toEqual([['server.draining'], ['server.draining'], [], []])
})
