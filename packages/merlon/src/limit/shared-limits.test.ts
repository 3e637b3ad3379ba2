import { describe, expect, test } from 'vitest'
import { MemoryLimitStore } from '../store/memory/limit-store.ts'
import { limitOf, type SharedLimitStore, takeOf } from './limit-store.ts'
import { partOf, SharedLimits } from './shared-limits.ts'

const now = 1_000_000

/** A shared store that can be taken away. */
function sharedWith(localShare = 0.5) {
  const memory = new MemoryLimitStore()
  const outage = { now: false, asked: 0 }
  const reach = <T>(answer: () => T): Promise<T> => {
    outage.asked++
    return outage.now ? Promise.reject(new Error('gone')) : Promise.resolve(answer())
  }
  const shared: SharedLimitStore = {
    state: 'shared',
    take: (takes, at) => reach(() => memory.take(takes, at)),
    peek: (takes, at) => memory.peek(takes, at),
    giveBack: (takes, at) => reach(() => memory.giveBack(takes, at)),
    sweep: (at) => memory.sweep(at),
    probe: () => reach(() => undefined),
    close: () => memory.close(),
  }
  const changes: unknown[] = []
  const limits = new SharedLimits({
    shared,
    own: new MemoryLimitStore(),
    localShare,
    onChange: (state, cause) => changes.push(state === 'local' ? [state, (cause as Error).message] : state),
  })
  return { limits, outage, changes }
}

const reads = limitOf({ name: 'reads', callsMax: 10, windowMs: 1_000, onStoreFailure: 'limit-locally' })
const writes = limitOf({ name: 'writes', callsMax: 10, windowMs: 1_000, onStoreFailure: 'deny' })
const read = [takeOf(reads, ['b'])]
const write = [takeOf(reads, ['b']), takeOf(writes, ['b'])]

async function admitted(limits: SharedLimits, tries: number): Promise<number> {
  let count = 0
  for (let at = 0; at < tries; at++) if ((await limits.take(read, now)).ok) count++
  return count
}

describe('a shared store that is lost', () => {
  test('RL-02: never lets more in than the part of the limit, and refuses what may not be counted alone', async () => {
    const { limits, outage } = sharedWith()
    outage.now = true
    expect(await admitted(limits, 30)).toBe(5)
    await expect((async () => limits.take(write, now))()).rejects.toMatchObject({
      code: 'store.unavailable',
      detail: { retryAfterMs: 1_000, reason: 'limits' },
    })
    expect(limits.peek(read, now)).toMatchObject({ ok: false })
  })

  test('RL-02: the call that finds out what may not be counted alone is refused too', async () => {
    const { limits, outage } = sharedWith()
    outage.now = true
    await expect((async () => limits.take(write, now))()).rejects.toMatchObject({ code: 'store.unavailable' })
  })

  test('is told once, and once that it is there again', async () => {
    const { limits, outage, changes } = sharedWith()
    await limits.probe()
    expect(changes).toEqual([])
    outage.now = true
    await Promise.all([limits.take(read, now), limits.take(read, now), limits.probe(), limits.take(read, now)])
    expect(limits.state).toBe('local')
    outage.now = false
    await Promise.all([limits.probe(), limits.probe()])
    await limits.probe()
    expect(limits.state).toBe('shared')
    expect(changes).toEqual([['local', 'gone'], 'shared'])
  })

  test('is not waited for by calls: only the probe asks it', async () => {
    const { limits, outage } = sharedWith()
    outage.now = true
    await limits.take(read, now)
    const { asked } = outage
    expect(limits.take(read, now)).not.toBeInstanceOf(Promise)
    limits.giveBack(read, now)
    expect(outage.asked).toBe(asked)
    outage.now = false
    await limits.probe()
    expect(limits.take(read, now)).toBeInstanceOf(Promise)
    expect(await admitted(limits, 30)).toBe(9)
  })

  test('a second loss does not fill what the first has used up', async () => {
    const { limits, outage } = sharedWith()
    for (let loss = 0; loss < 3; loss++) {
      outage.now = true
      expect(await admitted(limits, 30)).toBe(loss === 0 ? 5 : 0)
      outage.now = false
      await limits.probe()
    }
  })
})

test('a part of a limit is that part of it, and never nothing', () => {
  expect(partOf(limitOf({ name: 'l', callsMax: 100, windowMs: 60_000 }), 0.25)).toMatchObject({
    callsMax: 25,
    windowMs: 60_000,
    burst: 25,
  })
  expect(partOf(limitOf({ name: 'l', callsMax: 2, windowMs: 60_000, burst: 3 }), 0.25)).toMatchObject({
    callsMax: 1,
    windowMs: 120_000,
    burst: 1,
  })
  expect(partOf(limitOf({ name: 'l', callsMax: 1, windowMs: 2_000_000, burst: 1_000_000_000 }), 0.01)).toMatchObject({
    callsMax: 1,
    windowMs: 200_000_000,
    burst: 10_000_000,
  })
  expect(partOf(limitOf({ name: 'l', callsMax: 1, windowMs: 2_000_000_000, burst: 1_000_000 }), 0.01)).toMatchObject({
    windowMs: 200_000_000_000,
    burst: 10_000,
  })
  expect(partOf(limitOf({ name: 'l', callsMax: 7, windowMs: 1_000, told: false }), 1)).toMatchObject({
    callsMax: 7,
    burst: 7,
    told: false,
  })
})
