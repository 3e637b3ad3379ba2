import { randomBytes } from 'node:crypto'
import { afterAll, describe, expect, test } from 'vitest'
import { busContract } from '../../replica/bus.contract.ts'
import { RedisBus } from './bus.ts'
import { startRedis, testRedis } from './test-redis.ts'

const redis = await testRedis()
const prefix = () => `test-${randomBytes(6).toString('hex')}`

describe.skipIf('reason' in redis)('on Redis', () => {
  const { url, close } = redis as Exclude<typeof redis, { reason: string }>
  afterAll(() => close())

  const opening = async () => {
    const under = prefix()
    const [bus, other] = [new RedisBus({ url, prefix: under }), new RedisBus({ url, prefix: under })]
    for (const each of [bus, other]) await each.probe()
    return { bus, other, close: async () => void (await Promise.all([bus.close(), other.close()])) }
  }
  busContract('on Redis', opening)

  test('installations that share a Redis do not wake each other', async () => {
    const { bus, other, close } = await opening()
    const foreign = new RedisBus({ url, prefix: prefix() })
    await foreign.probe()
    const heard: string[] = []
    other.onWake((text) => heard.push(text))
    foreign.wake('foreign')
    await foreign.probe()
    bus.wake('own')
    await expect.poll(() => heard).toContain('own')
    expect(heard).toEqual(['own'])
    await Promise.all([close(), foreign.close()])
  })

  test('a Redis that died and is back wakes again, and between the two says that it is gone', async () => {
    const own = await startRedis()
    const bus = new RedisBus({ url: own.url, prefix: prefix() })
    await bus.probe()
    const heard: string[] = []
    bus.onWake((text) => heard.push(text))
    await own.kill()
    await expect(bus.probe()).rejects.toMatchObject({ code: 'store.unavailable', cause: { message: /^Redis: / } })
    bus.wake('lost')
    await own.restart()
    await expect
      .poll(
        async () => {
          await bus.probe().catch(() => undefined)
          bus.wake('again')
          return heard
        },
        { timeout: 10_000 },
      )
      .toContain('again')
    await bus.close()
    await own.close()
  })
})

test('out of reach it says so, and says nothing of the password', async () => {
  const bus = new RedisBus({ url: 'redis://:canary-password@127.0.0.1:1', prefix: 'p' })
  const thrown = await bus.probe().then(
    () => undefined,
    (error: unknown) => error as Error,
  )
  expect(thrown).toMatchObject({ code: 'store.unavailable' })
  expect(JSON.stringify([thrown, thrown?.stack, (thrown?.cause as Error | undefined)?.stack])).not.toContain('canary')
  await bus.close()
})
