import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Bus } from './bus.ts'

export interface BusOpened {
  readonly bus: Bus
  /** Another on the same store, as of another process. A bus that has none is itself the other. */
  readonly other: Bus
  close(): Promise<void>
}

/** What a `Bus` is that is well, whatever it is made of. */
export function busContract(name: string, open: () => Promise<BusOpened>): void {
  describe(`the bus ${name}`, () => {
    let opened: BusOpened
    beforeEach(async () => {
      opened = await open()
    })
    afterEach(() => opened.close())

    const listen = (bus: Bus) => {
      const heard: string[] = []
      const stop = bus.onWake((text) => heard.push(text))
      return { heard, stop }
    }
    const hear = async (heard: readonly string[], text: string) => expect.poll(() => heard).toContain(text)

    test('wakes all who listen, the one who wakes included', async () => {
      const { bus, other } = opened
      const ears = [listen(bus), listen(bus), listen(other)]
      bus.wake('mail')
      for (const { heard } of ears) await hear(heard, 'mail')
      other.wake('sessions')
      for (const { heard } of ears) await hear(heard, 'sessions')
    })

    test('texts come whole, and in the order of who wakes', async () => {
      const { bus, other } = opened
      const { heard } = listen(other)
      const texts = [`stream ${'0f'.repeat(32)}/4294967295`, "'; drop table replicas; --", 'é世界😀', 'last']
      for (const text of texts) bus.wake(text)
      await hear(heard, 'last')
      expect(heard).toEqual(texts)
    })

    test('who has stopped listening hears nothing more', async () => {
      const { bus, other } = opened
      const [gone, there] = [listen(other), listen(other)]
      gone.stop()
      gone.stop()
      bus.wake('mail')
      await hear(there.heard, 'mail')
      expect(gone.heard).toEqual([])
    })

    test('very many at once wake at least once, and break nothing', async () => {
      const { bus, other } = opened
      const { heard } = listen(other)
      for (let at = 0; at < 5_000; at++) bus.wake(`stream ${at % 3}`)
      for (let at = 0; at < 3; at++) await hear(heard, `stream ${at}`)
      bus.wake('mail')
      await hear(heard, 'mail')
    })
  })
}
