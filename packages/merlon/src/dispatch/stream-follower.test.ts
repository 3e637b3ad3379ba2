import { createSecretKey } from 'node:crypto'
import { setImmediate as turn } from 'node:timers/promises'
import * as fc from 'fast-check'
import { describe, expect, test, vi } from 'vitest'
import { decodeEventId } from '../history/event-id.ts'
import { OwnBus } from '../replica/bus.ts'
import { MemoryHistoryStore } from '../store/memory/history-store.ts'
import { FakeReply } from './reply.fixture.ts'
import type { Resumption } from './resumption.ts'
import { SessionStream } from './session-stream.ts'
import { type Followed, StreamFollower } from './stream-follower.ts'
import { StreamWakes } from './stream-wakes.ts'

const owner = { id: 's', tenant: 'a' }
const key = createSecretKey(Buffer.alloc(32, 1))
const answering = { about: '{"id":1}', lost: () => 'lost' }

/** Two processes on one store; `dead` are those of them that are gone. */
function replicas(change: { eventsMax?: number } = {}) {
  const history = new MemoryHistoryStore({ eventsMax: change.eventsMax ?? 1_000, historyMs: 60_000 })
  const bus = new OwnBus()
  const dead = new Set<string>()
  const as = (self: string): Resumption => ({
    history,
    key,
    clock: () => 0,
    replicas: { self, shared: true, isAlive: (id) => !dead.has(id), onCut: () => () => undefined },
    wakes: new StreamWakes(bus, (session) => session),
  })
  const begun = (reader = new FakeReply()) => {
    const stream = new SessionStream(owner, 1, as('A'), answering)
    stream.begin(reader)
    return stream
  }
  const follow = (reply: FakeReply, position = 0, other: Partial<Followed> = {}) =>
    new StreamFollower(
      as('B'),
      { session: owner, number: 1, position, lost: () => 'lost', allows: () => true, primes: false, ...other },
      reply,
    )
  return { history, bus, dead, begun, follow }
}

describe('a stream that is followed from another process', () => {
  test('EV-04: gives what was missed and then what comes, and ends with the last', async () => {
    const { begun, follow } = replicas()
    const first = new FakeReply()
    const stream = begun(first)
    stream.send('a')
    first.leave()
    stream.send('b')
    const reply = new FakeReply()
    expect(await follow(reply, 1).open()).toBe(true)
    expect(reply.sent).toEqual(['event b'])
    stream.send('c')
    await vi.waitFor(() => expect(reply.sent).toEqual(['event b', 'event c']), { timeout: 15_000 })
    stream.finish('d')
    await vi.waitFor(() => expect(reply.sent).toEqual(['event b', 'event c', 'event d', 'finish']), { timeout: 15_000 })
    expect(reply.ids.map((id) => decodeEventId(key, 's', id)?.seq)).toEqual([2, 3, 4])
  })

  test('finds by itself what no wake told of', async () => {
    const { history, begun, follow } = replicas()
    begun().send('a')
    const reply = new FakeReply()
    await follow(reply).open()
    history.append(owner, 1, 'b', 0, { ends: true })
    await vi.waitFor(() => expect(reply.sent).toEqual(['event a', 'event b', 'finish']), 10_000)
  })

  test('history that is gone is said to be gone, and nothing is sent', async () => {
    const { begun, follow } = replicas({ eventsMax: 2 })
    const stream = begun()
    for (const message of ['a', 'b', 'c', 'd']) stream.send(message)
    const reply = new FakeReply()
    expect(await follow(reply, 1).open()).toBe(false)
    expect(reply.sent).toEqual([])
    expect(reply.streaming).toBe(false)
  })

  test('a producer that is gone: the reader gets what was kept, and then an error for an answer, once', async () => {
    const { history, dead, begun, follow } = replicas()
    const stream = begun()
    stream.send('a')
    stream.send('b')
    const reply = new FakeReply()
    await follow(reply, 1).open()
    dead.add('A')
    await vi.waitFor(() => expect(reply.sent).toEqual(['event b', 'event lost', 'finish']), 10_000)
    const later = new FakeReply()
    await follow(later, 2).open()
    await vi.waitFor(() => expect(later.sent).toEqual(['event lost', 'finish']), { timeout: 15_000 })
    expect(history.after(owner, 1, 0, 0)?.events.map(({ message }) => message)).toEqual(['a', 'b', 'lost'])
  })

  test('an answer that was kept before its producer was gone stays the answer', async () => {
    const { dead, begun, follow } = replicas()
    const stream = begun()
    stream.send('a')
    stream.finish('b')
    dead.add('A')
    const reply = new FakeReply()
    await follow(reply).open()
    await vi.waitFor(() => expect(reply.sent).toEqual(['event a', 'event b', 'finish']), { timeout: 15_000 })
  })

  test('a stream of this process that it makes no more is ended too', async () => {
    const { history, follow } = replicas()
    history.append(owner, 1, 'a', 0, { opens: { producer: 'B', about: '{}' } })
    const reply = new FakeReply()
    await follow(reply).open()
    await vi.waitFor(() => expect(reply.sent).toEqual(['event a', 'event lost', 'finish']), 10_000)
  })

  test('the session’s own stream is nobody’s to end', async () => {
    const { history, dead, follow } = replicas()
    history.claim(owner, 0, undefined, { reader: 'B', waitedMs: 0 }, 0)
    history.append(owner, 0, 'a', 0)
    dead.add('A')
    const reply = new FakeReply()
    const follower = follow(reply, 0, { number: 0, lost: undefined })
    await follower.open()
    history.append(owner, 0, 'b', 0)
    await vi.waitFor(() => expect(reply.sent).toEqual(['event a', 'event b']), 10_000)
    follower.stop()
    reply.leave()
  })

  test('EV-03: what its reader may not have is left out, and the rest goes on under its own ids', async () => {
    const { begun, follow } = replicas()
    const stream = begun()
    for (const message of ['a', 'secret', 'b']) stream.send(message)
    const reply = new FakeReply()
    const follower = follow(reply, 0, { allows: (message) => message !== 'secret' })
    await follower.open()
    expect(reply.sent).toEqual(['event a', 'event b'])
    expect(reply.ids.map((id) => decodeEventId(key, 's', id)?.seq)).toEqual([1, 3])
    follower.stop()
    reply.leave()
  })

  test('a reader that is let go of is told from where to come back', async () => {
    const { begun, follow } = replicas()
    const stream = begun()
    stream.send('a')
    const reply = new FakeReply()
    const follower = follow(reply, 0, { primes: true })
    await follower.open()
    follower.release()
    expect(reply.sent).toEqual(['event a', 'prime 1000', 'finish'])
    expect(new Set(reply.ids).size).toBe(1)
    const older = new FakeReply()
    const unprimed = follow(older)
    await unprimed.open()
    unprimed.release()
    expect(older.sent).toEqual(['event a', 'finish'])
  })

  test('a store out of reach ends the connection and not the stream', async () => {
    const { history, bus, begun, follow } = replicas()
    const stream = begun()
    stream.send('a')
    const reply = new FakeReply()
    await follow(reply).open()
    const after = vi.spyOn(history, 'after').mockRejectedValueOnce(new Error('out of reach') as never)
    bus.wake('stream s/1')
    await vi.waitFor(() => expect(reply.sent).toEqual(['event a', 'finish']), { timeout: 15_000 })
    after.mockRestore()
    const again = new FakeReply()
    await follow(again, 1).open()
    stream.finish('b')
    await vi.waitFor(() => expect(again.sent).toEqual(['event b', 'finish']), { timeout: 15_000 })
  })

  test('EV-04: whatever the order of messages, wakes and reconnects, each message comes once and in order', async () => {
    const action = fc.constantFrom('send', 'send', 'turn', 'leave')
    await fc.assert(
      fc.asyncProperty(fc.array(action, { maxLength: 30 }), async (actions) => {
        const { begun, follow } = replicas()
        const stream = begun()
        const seen: string[] = []
        stream.send('m1')
        let sent = 1
        let last = 0
        let reply = new FakeReply()
        let follower = follow(reply)
        await follower.open()
        const comeBack = async () => {
          reply.leave()
          follower.stop()
          seen.push(...reply.messagesAsSent)
          last = reply.ids.length === 0 ? last : decodeEventId(key, 's', reply.ids.at(-1)!)!.seq
          reply = new FakeReply()
          follower = follow(reply, last)
          await follower.open()
        }
        for (const act of actions) {
          if (act === 'send') stream.send(`m${++sent}`)
          else if (act === 'turn') await turn()
          else await comeBack()
        }
        stream.finish(`m${++sent}`)
        await vi.waitFor(() => expect(reply.sent.at(-1)).toBe('finish'), { timeout: 15_000 })
        seen.push(...reply.messagesAsSent)
        expect(seen).toEqual(Array.from({ length: sent }, (_, at) => `m${at + 1}`))
      }),
      { numRuns: 50 },
    )
  })
})
