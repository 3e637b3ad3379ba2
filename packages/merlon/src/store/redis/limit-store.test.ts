import { randomBytes } from 'node:crypto'
import * as fc from 'fast-check'
import { Redis } from 'ioredis'
import { afterAll, describe, expect, test } from 'vitest'
import { limitStoreContract } from '../../limit/limit-store.contract.ts'
import { limitOf, takeOf } from '../../limit/limit-store.ts'
import { MemoryLimitStore } from '../memory/limit-store.ts'
import { redisFailure } from './connection.ts'
import { RedisLimitStore } from './limit-store.ts'
import { testRedis } from './test-redis.ts'

const redis = await testRedis()
const start = 1_800_000_000_000
const prefix = () => `test-${randomBytes(6).toString('hex')}`

describe.skipIf('reason' in redis)('on Redis', () => {
  const { url, close } = redis as Exclude<typeof redis, { reason: string }>
  afterAll(() => close())

  const shared = prefix()
  const open = async (time: 'server' | 'caller' = 'caller', under = shared) => {
    const store = new RedisLimitStore({ url, prefix: under, time })
    await store.probe()
    return store
  }
  limitStoreContract('Redis', () => open(), { runs: 60, beside: () => open() })

  test('RL-01: answers to the number like the store in memory', async () => {
    const store = await open()
    let names = 0
    const spec = fc.record({
      callsMax: fc.integer({ min: 1, max: 1_000 }),
      windowMs: fc.integer({ min: 1_000, max: 100_000 }),
      burst: fc.option(fc.integer({ min: 1, max: 9 }), { nil: undefined }),
    })
    const step = fc.record({
      moveMs: fc.oneof({ weight: 3, arbitrary: fc.nat(400) }, fc.integer({ min: -200_000, max: 200_000 })),
      cost: fc.integer({ min: 1, max: 10 }),
      act: fc.constantFrom('take', 'take', 'take', 'give'),
    })
    await fc.assert(
      fc.asyncProperty(
        fc.array(spec, { minLength: 1, maxLength: 3 }),
        fc.array(step, { maxLength: 30 }),
        async (specs, steps) => {
          const memory = new MemoryLimitStore()
          const limits = specs.map((each) => limitOf({ ...each, name: `same-${++names}` }))
          let now = start
          for (const { moveMs, cost, act } of steps) {
            now += moveMs
            const takes = limits.map((limit) => takeOf(limit, ['b'], cost))
            if (act === 'take') expect(await store.take(takes, now)).toEqual(memory.take(takes, now))
            else {
              await store.giveBack(takes, now)
              memory.giveBack(takes, now)
            }
          }
        },
      ),
      { numRuns: 60 },
    )
    store.close()
  })

  test('RL-01: a bucket ends by itself, and no sooner than a minute after it is full', async () => {
    const [store, client, under] = [await open('server', shared), new Redis(url), prefix()]
    const own = await open('server', under)
    const limit = limitOf({ name: 'ttl', callsMax: 10, windowMs: 100_000 })
    await own.take([takeOf(limit, ['b'], 3)], 0)
    const keys = await client.keys(`${under}:*`)
    expect(keys).toEqual([`${under}:{limits}:ttl\nb`])
    const ttl = await client.pttl(keys[0]!)
    expect(ttl).toBeGreaterThan(60_000)
    expect(ttl).toBeLessThanOrEqual(90_000)
    await own.giveBack([takeOf(limit, ['b'], 3)], 0)
    expect(await client.pttl(keys[0]!)).toBeLessThanOrEqual(60_000)
    for (const each of [store, own]) each.close()
    client.disconnect()
  })

  test('processes whose clocks differ agree: the time is that of the server', async () => {
    const stores = [await open('server'), await open('server')]
    const limit = limitOf({ name: 'clocks', callsMax: 1, windowMs: 1_000_000 })
    expect(await stores[0]!.take([takeOf(limit, ['b'])], 0)).toMatchObject({ ok: true })
    expect(await stores[1]!.take([takeOf(limit, ['b'])], 9_000_000_000)).toMatchObject({ ok: false })
    for (const store of stores) store.close()
  })

  test('a server that has lost the script is told it again', async () => {
    const [store, client] = [await open(), new Redis(url)]
    const limit = limitOf({ name: 'script', callsMax: 2, windowMs: 1_000 })
    await store.take([takeOf(limit, ['b'])], start)
    await client.script('FLUSH')
    expect(await store.take([takeOf(limit, ['b'])], start)).toMatchObject({ ok: true, remaining: 0 })
    store.close()
    client.disconnect()
  })

  test('what was refused is refused again without asking, for a second at most, with the true wait', async () => {
    const store = await open()
    const limit = limitOf({ name: 'remembered', callsMax: 1, windowMs: 60_000 })
    const of = (cost: number) => [takeOf(limit, ['b'], cost)]
    await store.take(of(1), start)
    expect(store.peek(of(1), start)).toBeUndefined()
    await store.take(of(1), start)
    expect(store.peek(of(1), start + 999)).toEqual({ ok: false, limit, retryAfterMs: 59_001, remaining: 0 })
    expect(store.peek(of(1), start + 1_000)).toBeUndefined()
    await store.giveBack(of(1), start)
    expect(store.peek(of(1), start + 1)).toBeUndefined()
    await store.take(of(2), start)
    expect(store.peek(of(1), start)).toBeUndefined()
    expect(store.sweep(start + 1_000)).toBe(1)
    store.close()
  })
})

test('out of reach it says so, and says nothing of the password', async () => {
  const store = new RedisLimitStore({ url: 'redis://:canary-password@127.0.0.1:1', prefix: 'p', time: 'server' })
  const limit = limitOf({ name: 'l', callsMax: 1, windowMs: 1_000 })
  for (const act of [() => store.probe(), () => store.take([takeOf(limit, ['b'])], 0)]) {
    const thrown = await act().then(
      () => undefined,
      (error: unknown) => error as Error,
    )
    expect(thrown).toMatchObject({ code: 'store.unavailable' })
    expect(
      JSON.stringify([
        thrown,
        thrown?.message,
        thrown?.stack,
        (thrown as { cause?: Error } | undefined)?.cause?.message,
      ]),
    ).not.toContain('canary')
  }
  store.close()
})

test('of a failure only its kind is told', () => {
  const failure = (message: string, more: object = {}) => redisFailure(Object.assign(new Error(message), more)).message
  expect(failure('WRONGPASS invalid username-password pair canary', { command: { args: ['canary'] } })).toBe(
    'Redis: WRONGPASS',
  )
  expect(failure('connect ECONNREFUSED canary:6379', { code: 'ECONNREFUSED' })).toBe('Redis: ECONNREFUSED')
  expect(failure('Command timed out')).toBe('Redis: no answer in time')
  expect(failure("Stream isn't writeable and enableOfflineQueue options is false")).toBe('Redis: not connected')
  expect(failure('canary', { code: 'canary' })).toBe('Redis: not connected')
  expect(redisFailure('canary').message).toBe('Redis: not connected')
})
