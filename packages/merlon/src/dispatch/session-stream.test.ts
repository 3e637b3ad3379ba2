import { createSecretKey } from 'node:crypto'
import { setImmediate as turn } from 'node:timers/promises'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decodeEventId } from '../history/event-id.ts'
import type { HistoryStore } from '../history/history-store.ts'
import { MemoryHistoryStore } from '../store/memory/history-store.ts'
import { FakeReply } from './reply.fixture.ts'
import { type Resumption, SessionStream } from './session-stream.ts'

const owner = { id: 's', tenant: 'a' }
const key = createSecretKey(Buffer.alloc(32, 1))
const memory = () => new MemoryHistoryStore({ eventsMax: 1_000, historyMs: 60_000 })
const over = (history: HistoryStore): Resumption => ({ history, key, clock: () => 0 })
const kept = async (history: HistoryStore) => (await history.after(owner, 1, 0, 0))?.map(({ message }) => message)

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
  append(session, stream, message, now) {
    if (message !== bad)
      return how === 'later'
        ? Promise.resolve(history.append(session, stream, message, now))
        : history.append(session, stream, message, now)
    if (how === 'at once') throw new Error('out of reach')
    return Promise.reject(new Error('out of reach'))
  },
  after: (...given) => history.after(...given),
  drop: (session) => history.drop(session),
  sweep: (now) => history.sweep(now),
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
    expect(await stream.resume(reader, 0, over(history))).toBe(true)
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
    expect(await stream.resume(second, seq, over(history))).toBe(true)
    expect(second.sent).toEqual(['event b'])
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
      expect(await stream.resume(reader, 0, over(history))).toBe(false)
      expect(reader.sent).toEqual([])
    })
  })

  test('a history that cannot be read leaves the stream to the next who comes back', async () => {
    const history = memory()
    const stream = new SessionStream(owner, 1, over(history))
    stream.send('a')
    const unreadable = over({
      ...failing('', 'later', history),
      after: () => Promise.reject(new Error('out of reach')),
    })
    await expect(stream.resume(new FakeReply(), 0, unreadable)).rejects.toThrow('out of reach')
    expect(stream.taken).toBe(false)
    const reader = new FakeReply()
    expect(await stream.resume(reader, 0, over(history))).toBe(true)
    expect(reader.sent).toEqual(['event a'])
  })

  test('EV-09: while one is being given what it missed, the stream is taken', async () => {
    const { store, step } = slow()
    const stream = new SessionStream(owner, 1, over(store))
    const resumed = stream.resume(new FakeReply(), 0, over(store))
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
          void stream.resume(reader, lastSeq, over(store))
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
})
