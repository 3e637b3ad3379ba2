import { expect, test } from 'vitest'
import { busContract } from './bus.contract.ts'
import { OwnBus } from './bus.ts'
import { SharedBus, type SharedBusLine } from './shared-bus.ts'

busContract('of one process', async () => {
  const bus = new OwnBus()
  return { bus, other: bus, close: async () => undefined }
})

/** A line that carries while it is up. */
class Line extends OwnBus implements SharedBusLine {
  up = true
  readonly sent: string[] = []

  override wake(text: string): void {
    if (!this.up) return
    this.sent.push(text)
    super.wake(text)
  }

  async probe(): Promise<void> {
    if (!this.up) throw new Error('down')
  }

  async close(): Promise<void> {}
}

const opening = async (withRedis = true) => {
  const [redis, postgres] = [new Line(), new Line()]
  const changes: unknown[][] = []
  const bus = new SharedBus({
    redis: withRedis ? redis : undefined,
    postgres,
    onChange: (...change) => changes.push(change),
  })
  await bus.probe()
  return { bus, redis, postgres, changes }
}

busContract('over Redis and PostgreSQL', async () => {
  const { bus } = await opening()
  return { bus, other: bus, close: () => bus.close() }
})

test('goes by Redis while it is well, by PostgreSQL while it is not, and tells of each change once', async () => {
  const { bus, redis, postgres, changes } = await opening()
  const heard: string[] = []
  bus.onWake((text) => heard.push(text))
  bus.wake('one')
  redis.up = false
  bus.wake('dropped')
  for (let at = 0; at < 2; at++) await bus.probe()
  bus.wake('two')
  postgres.up = false
  for (let at = 0; at < 2; at++) await bus.probe()
  expect(bus.over).toBe('none')
  bus.wake('nowhere')
  redis.up = true
  await bus.probe()
  bus.wake('three')
  expect([redis.sent, postgres.sent]).toEqual([['one', 'three'], ['two']])
  expect(heard).toEqual(['one', 'two', 'three'])
  expect(changes).toEqual([
    ['redis', 'none', undefined],
    ['postgres', 'redis', new Error('down')],
    ['none', 'postgres', new Error('down')],
    ['redis', 'none', new Error('down')],
  ])
})

test('what another sends by the line that this one does not send on is heard', async () => {
  const { bus, postgres } = await opening()
  const heard: string[] = []
  const stop = bus.onWake((text) => heard.push(text))
  postgres.wake('by PostgreSQL')
  expect(heard).toEqual(['by PostgreSQL'])
  stop()
  postgres.wake('unheard')
  expect(heard).toEqual(['by PostgreSQL'])
})

test('without Redis there is PostgreSQL alone, and that is no loss', async () => {
  const { bus, postgres, changes } = await opening(false)
  bus.wake('mail')
  expect(postgres.sent).toEqual(['mail'])
  expect(changes).toEqual([['postgres', 'none', undefined]])
})
