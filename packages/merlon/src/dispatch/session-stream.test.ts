import { createSecretKey } from 'node:crypto'
import { setImmediate as turn } from 'node:timers/promises'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decodeEventId } from '../history/event-id.ts'
import type { HistoryStore } from '../history/history-store.ts'
import { OwnBus } from '../replica/bus.ts'
import { SingleReplica } from '../replica/replicas.ts'
import { MemoryHistoryStore } from '../store/memory/history-store.ts'
import { LiveSessions } from './live-sessions.ts'
import { FakeReply } from './reply.fixture.ts'
import type { Resumption } from './resumption.ts'
import { alice, serverWith } from './server.fixture.ts'
import { SessionStream } from './session-stream.ts'
import { StreamWakes } from './stream-wakes.ts'

const owner = { id: 's', tenant: 'a' }
const key = createSecretKey(Buffer.alloc(32, 1))
const memory = () => new MemoryHistoryStore({ eventsMax: 1_000, historyMs: 60_000 })
const over = (history: HistoryStore): Resumption => ({
  history,
  key,
  clock: () => 0,
  replicas: new SingleReplica(),
  wakes: new StreamWakes(new OwnBus(), (session) => session),
})
const kept = async (history: HistoryStore) =>
  (await history.after(owner, 1, 0, 0))?.events.map(({ message }) => message)

/** A history that answers when told, in the order in which it was asked. */
function slow(history: HistoryStore = memory()) {
  const waiting: (() => void)[] = []
  const later = async <T>(work: () => T | Promise<T>): Promise<T> => {
    await new Promise<void>((resolve) => waiting.push(resolve))
    return work()
  }
  const store: HistoryStore = {
    append: (...given) => later(() => history.append(...given)),
    after: (...given) => later(() => history.after(...given)),
    claim: (...given) => history.claim(...given),
    leave: (...given) => history.leave(...given),
    close: (...given) => history.close(...given),
    tell: (...given) => history.tell(...given),
    isOpen: (session) => history.isOpen(session),
    drop: (session) => history.drop(session),
    sweep: (now) => history.sweep(now),
  }
  const step = async () => {
    waiting.shift()?.()
    await turn()
  }
  return { store, step, waiting }
}

/** A history whose append fails for one message. */
const failing = (bad: string, how: 'at once' | 'later', history = memory()): HistoryStore => ({
  append(...given) {
    if (given[2] !== bad) return how === 'later' ? Promise.resolve(history.append(...given)) : history.append(...given)
    if (how === 'at once') throw new Error('out of reach')
    return Promise.reject(new Error('out of reach'))
  },
  after: (...given) => history.after(...given),
  claim: (...given) => history.claim(...given),
  leave: (...given) => history.leave(...given),
  close: (...given) => history.close(...given),
  tell: (...given) => history.tell(...given),
  isOpen: (session) => history.isOpen(session),
  drop: (session) => history.drop(session),
  sweep: (now) => history.sweep(now),
})

test('EV-07: a server that stops waits for all that was said, the last word of a call too, which waits for those before it', async () => {
  const history = memory()
  const { store, step, waiting } = slow(history)
  const all = new LiveSessions(over(store))
  const live = all.of(serverWith([]).openSession(), alice)
  const stream = live.openStream({ about: '{}', lost: () => 'lost' })
  stream.send('one')
  stream.send('two')
  stream.finish('last')
  let settled = false
  const settling = all.settled(10_000).then(() => {
    settled = true
  })
  for (let said = 1; said <= 3; said++) {
    expect(waiting.length).toBe(1)
    expect(settled).toBe(false)
    await step()
  }
  await settling
  const found = await history.after(live.session, stream.number, 0, 0)
  expect(found?.events.map(({ message }) => message)).toEqual(['one', 'two', 'last'])
})

describe('a stream of a session', () => {
  test('EV-07: a message is kept before it is sent', async () => {
    const { store, step } = slow()
    const stream = new SessionStream(owner, 1, over(store))
    const reader = new FakeReply()
    stream.attach(reader)
    stream.send('a')
    stream.send('b')
    await turn()
    expect(reader.sent).toEqual([])
    await step()
    expect(reader.sent).toEqual(['event a'])
    await step()
    expect(reader.sent).toEqual(['event a', 'event b'])
  })

  test('each message goes out under the id of its place', async () => {
    const stream = new SessionStream(owner, 1, over(memory()))
    const reader = new FakeReply()
    stream.attach(reader)
    stream.prime()
    stream.send('a')
    stream.finish('b')
    expect(reader.sent).toEqual(['prime 1000', 'event a', 'answer 200 b'])
    expect(reader.ids.map((id) => decodeEventId(key, 's', id))).toEqual([1, 2, 3].map((seq) => ({ stream: 1, seq })))
  })

  test('without resumption messages go out at once, and without ids', () => {
    const stream = new SessionStream(owner, 1, undefined)
    const reader = new FakeReply()
    stream.attach(reader)
    stream.prime()
    stream.send('a')
    stream.release(5)
    stream.finish('b')
    expect(reader.sent).toEqual(['event a', 'answer 200 b'])
    expect(reader.ids).toEqual([])
  })

  test('a stream is taken while somebody reads it', () => {
    const stream = new SessionStream(owner, 1, over(memory()))
    expect(stream.taken).toBe(false)
    const reader = new FakeReply()
    stream.attach(reader)
    expect(stream.taken).toBe(true)
    reader.leave()
    expect(stream.taken).toBe(false)
  })

  test('what comes while nobody reads is kept for who comes back', async () => {
    const history = memory()
    const stream = new SessionStream(owner, 1, over(history))
    stream.send('a')
    const reader = new FakeReply()
    expect(await stream.resume(reader, 0)).toBe(true)
    stream.send('b')
    await turn()
    expect(reader.sent).toEqual(['event a', 'event b'])
  })

  test('a reader that is released is asked to come back, and the stream goes on', async () => {
    const history = memory()
    const stream = new SessionStream(owner, 1, over(history))
    const first = new FakeReply()
    stream.attach(first)
    stream.send('a')
    stream.release(250)
    stream.finish('b')
    expect(first.sent).toEqual(['event a', 'prime 250', 'finish'])
    const { seq } = decodeEventId(key, 's', first.ids.at(-1)!)!
    const second = new FakeReply()
    expect(await stream.resume(second, seq)).toBe(true)
    expect(second.sent).toEqual(['event b', 'finish'])
  })

  describe.each(['at once', 'later'] as const)('a history that fails %s', (how) => {
    test('cuts the reader off: the message is not sent, and nothing after it is sent or kept', async () => {
      const history = failing('b', how)
      const stream = new SessionStream(owner, 1, over(history))
      const reader = new FakeReply()
      stream.attach(reader)
      for (const message of ['a', 'b', 'c']) stream.send(message)
      await turn()
      stream.send('d')
      stream.finish('e')
      await turn()
      expect(reader.sent).toEqual(['event a', 'finish'])
      expect(await kept(history)).toEqual(['a'])
      expect(stream.isBroken).toBe(true)
    })

    test('EV-04: tells who comes back that messages are lost, instead of leaving one out', async () => {
      const history = failing('b', how)
      const stream = new SessionStream(owner, 1, over(history))
      for (const message of ['a', 'b', 'c']) stream.send(message)
      await turn()
      const reader = new FakeReply()
      expect(await stream.resume(reader, 0)).toBe(false)
      expect(reader.sent).toEqual([])
    })
  })

  test('a history that cannot be read leaves the stream to the next who comes back', async () => {
    const history = memory()
    const reachable = { now: false }
    const stream = new SessionStream(
      owner,
      1,
      over({
        ...failing('', 'later', history),
        append: (...given) => history.append(...given),
        after: (...given) => (reachable.now ? history.after(...given) : Promise.reject(new Error('out of reach'))),
      }),
    )
    stream.send('a')
    await expect(stream.resume(new FakeReply(), 0)).rejects.toThrow('out of reach')
    reachable.now = true
    expect(stream.taken).toBe(false)
    const reader = new FakeReply()
    expect(await stream.resume(reader, 0)).toBe(true)
    expect(reader.sent).toEqual(['event a'])
  })

  test('EV-09: while one is being given what it missed, the stream is taken', async () => {
    const { store, step } = slow()
    const stream = new SessionStream(owner, 1, over(store))
    const resumed = stream.resume(new FakeReply(), 0)
    expect(stream.taken).toBe(true)
    await turn()
    await step()
    expect(await resumed).toBe(true)
    expect(stream.taken).toBe(true)
  })

  test('EV-04: whoever reads, leaves and comes back at any moments sees each message once, in order', async () => {
    const action = fc.constantFrom('send', 'send', 'step', 'step', 'leave', 'resume')
    await fc.assert(
      fc.asyncProperty(fc.array(action, { maxLength: 40 }), async (actions) => {
        const { store, step, waiting } = slow()
        const stream = new SessionStream(owner, 1, over(store))
        const seen: string[] = []
        let reader = new FakeReply()
        let lastSeq = 0
        let sent = 0
        /** What the client took in before its connection broke. */
        const takeIn = () => {
          seen.push(...reader.sent.map((line) => line.replace(/^event /, '')))
          const lastId = reader.ids.at(-1)
          if (lastId !== undefined) lastSeq = decodeEventId(key, 's', lastId)!.seq
        }
        const resume = () => {
          if (stream.taken) return
          takeIn()
          reader = new FakeReply()
          void stream.resume(reader, lastSeq)
        }
        const settle = async () => {
          await turn()
          while (waiting.length > 0) await step()
        }
        stream.attach(reader)
        for (const act of [...actions, 'leave', 'resume']) {
          if (act === 'send') stream.send(`m${++sent}`)
          else if (act === 'step') await step()
          else if (act === 'leave') reader.leave()
          else resume()
        }
        await settle()
        // One that was refused because another was still being served comes again.
        if (!stream.taken) resume()
        await settle()
        takeIn()
        expect(seen).toEqual(Array.from({ length: sent }, (_, at) => `m${at + 1}`))
      }),
      { numRuns: 100 },
    )
  })

  describe('that answers a request', () => {
    const answering = { about: '{"id":1}', lost: () => 'lost' }
    const claimed = (history: HistoryStore) => history.claim(owner, 1, 0, { reader: 'other', waitedMs: 0 }, 0)

    test('is known from its first event on, and as ended with its last', async () => {
      const history = memory()
      const resumption = over(history)
      const stream = new SessionStream(owner, 1, resumption, answering)
      expect(await claimed(history)).toEqual({ outcome: 'unknown' })
      stream.begin(new FakeReply())
      stream.send('a')
      expect(await claimed(history)).toMatchObject({ outcome: 'taken', by: resumption.replicas.self })
      stream.finish('b')
      expect(await claimed(history)).toMatchObject({ outcome: 'held', ended: true, about: '{"id":1}' })
      expect(await kept(history)).toEqual(['a', 'b'])
    })

    test.each([true, false])('is free for others when its reader leaves, first event on its way: %s', async (later) => {
      const history = memory()
      const { store, step } = slow(history)
      const stream = new SessionStream(owner, 1, over(later ? store : history), answering)
      const reader = new FakeReply()
      stream.begin(reader)
      stream.send('a')
      reader.leave()
      if (later) {
        expect(await claimed(history)).toEqual({ outcome: 'unknown' })
        await step()
      }
      await turn()
      expect(await claimed(history)).toMatchObject({ outcome: 'held' })
    })

    test('is ended for others too when it ends without a message', async () => {
      const history = memory()
      const stream = new SessionStream(owner, 1, over(history), answering)
      const reader = new FakeReply()
      stream.begin(reader)
      stream.send('a')
      stream.close()
      expect(reader.sent).toEqual(['event a', 'finish'])
      expect(await claimed(history)).toMatchObject({ outcome: 'held', ended: true })
      expect(await kept(history)).toEqual(['a', ''])
    })

    test('keeps and sends nothing after it was stopped', async () => {
      const history = memory()
      const stream = new SessionStream(owner, 1, over(history), answering)
      const reader = new FakeReply()
      stream.begin(reader)
      stream.send('a')
      stream.stop()
      stream.send('b')
      stream.finish('c')
      expect(reader.sent).toEqual(['event a', 'finish'])
      expect(await kept(history)).toEqual(['a'])
    })

    test.each(['at once', 'later'] as const)(
      'gets an error for its answer where a message cannot be kept %s',
      async (how) => {
        const history = memory()
        const stream = new SessionStream(owner, 1, over(failing('b', how, history)), answering)
        const reader = new FakeReply()
        stream.begin(reader)
        for (const message of ['a', 'b', 'c']) stream.send(message)
        stream.finish('d')
        for (let turns = 0; turns < 4; turns++) await turn()
        expect(reader.sent).toEqual(['event a', 'finish'])
        expect(await kept(history)).toEqual(['a', 'lost'])
        // Who was cut off may come back to any replica.
        expect(await claimed(history)).toMatchObject({ outcome: 'held', ended: true })
      },
    )

    test('tells its reader at once where not even its first message can be kept', async () => {
      const history = memory()
      const stream = new SessionStream(owner, 1, over(failing('a', 'later', history)), answering)
      const reader = new FakeReply()
      stream.begin(reader)
      stream.send('a')
      for (let turns = 0; turns < 4; turns++) await turn()
      expect(reader.sent).toEqual(['answer 200 lost'])
      expect(await kept(history)).toEqual([])
    })

    test('wakes who may follow it elsewhere, where nobody reads it here', async () => {
      const history = memory()
      const bus = new OwnBus()
      const woken: string[] = []
      bus.onWake((text) => woken.push(text))
      const wakes = new StreamWakes(bus, (session) => `name-of-${session}`)
      const replicas = {
        ...over(history).replicas,
        self: 'A',
        shared: true,
        isAlive: () => true,
        onCut: () => () => {},
      }
      const stream = new SessionStream(owner, 1, { ...over(history), replicas, wakes }, answering)
      const reader = new FakeReply()
      stream.begin(reader)
      stream.send('a')
      expect(woken).toEqual([])
      reader.leave()
      await turn()
      expect(woken).toEqual(['stream name-of-s/1'])
      stream.send('b')
      expect(woken).toHaveLength(2)
    })
  })
})
