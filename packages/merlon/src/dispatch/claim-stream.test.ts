import { createSecretKey } from 'node:crypto'
import { setImmediate as turn } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { OwnBus } from '../replica/bus.ts'
import { MemoryHistoryStore } from '../store/memory/history-store.ts'
import { claimStream } from './claim-stream.ts'
import { FakeReply } from './reply.fixture.ts'
import type { Resumption } from './resumption.ts'
import { StreamWakes } from './stream-wakes.ts'

const session = { id: 's', tenant: 'a' }
const now = 1_800_000_000_000

/** A stream with one event, made and read at A. Claims come to B, at `clock.now`. */
function stream() {
  const history = new MemoryHistoryStore({ eventsMax: 100, historyMs: 60_000 })
  const dead = new Set<string>()
  const clock = { now }
  const bus = new OwnBus()
  const resumption: Resumption = {
    history,
    key: createSecretKey(Buffer.alloc(32, 1)),
    clock: () => clock.now,
    replicas: { self: 'B', shared: true, isAlive: (id) => !dead.has(id), onCut: () => () => undefined },
    wakes: new StreamWakes(bus, (id) => id),
  }
  const seq = history.append(session, 1, 'a', now, { opens: { producer: 'A', about: '{}' } })
  const claim = (change: { seq?: number; arrivedAt?: number; reply?: FakeReply } = {}) => {
    const { reply = new FakeReply(), arrivedAt = clock.now } = change
    return claimStream(resumption, { session, number: 1, seq: change.seq ?? seq, arrivedAt }, reply)
  }
  return { history, dead, clock, bus, resumption, seq, claim }
}

describe('a stream that a reader comes back for', () => {
  test('is theirs where nobody reads it', async () => {
    const { history, claim } = stream()
    history.leave(session, 1, 0)
    expect(await claim()).toMatchObject({ outcome: 'held', claim: 1 })
  })

  test('is waited for while the process that has it is about to let go', async () => {
    const { history, bus, claim } = stream()
    const claimed = claim()
    let settled = false
    void claimed.finally(() => (settled = true))
    for (let turns = 0; turns < 5; turns++) await turn()
    expect(settled).toBe(false)
    history.leave(session, 1, 0)
    bus.wake('stream s/1')
    expect(await claimed).toMatchObject({ outcome: 'held', claim: 1 })
  })

  test('is found free by looking, where no wake told of it', async () => {
    const { history, claim } = stream()
    const claimed = claim()
    await turn()
    history.leave(session, 1, 0)
    expect(await claimed).toMatchObject({ outcome: 'held', claim: 1 })
  })

  test('is taken from a process that is dead, at once or when it dies', async () => {
    const { dead, bus, claim } = stream()
    const claimed = claim()
    await turn()
    dead.add('A')
    bus.wake('stream s/1')
    expect(await claimed).toMatchObject({ outcome: 'held', claim: 1 })
  })

  test('EV-09: is refused at once where another came at the same time and was first', async () => {
    const { history, clock, claim } = stream()
    const arrivedAt = clock.now
    clock.now += 5
    history.leave(session, 1, 0)
    history.claim(session, 1, 1, { reader: 'C', waitedMs: 0 }, clock.now)
    clock.now += 5
    await expect(claim({ arrivedAt })).rejects.toMatchObject({ code: 'stream.taken' })
  })

  test('EV-09: is refused to who waits where another gets it first', async () => {
    const { history, bus, claim } = stream()
    const claimed = claim()
    await turn()
    history.leave(session, 1, 0)
    history.claim(session, 1, 1, { reader: 'C', waitedMs: 0 }, now)
    bus.wake('stream s/1')
    await expect(claimed).rejects.toMatchObject({ code: 'stream.taken' })
  })

  test('is not waited for on behalf of somebody who has left', async () => {
    const { bus, claim } = stream()
    const reply = new FakeReply()
    const claimed = claim({ reply })
    await turn()
    reply.leave()
    bus.wake('stream s/1')
    await expect(claimed).rejects.toMatchObject({ code: 'stream.taken' })
  })

  test('is refused after a while to who waits for a reader that stays', { timeout: 20_000 }, async () => {
    const { claim } = stream()
    await expect(claim()).rejects.toMatchObject({ code: 'stream.taken' })
  })

  test('is not moved back by an older id, nor given for a place that was never there', async () => {
    const { history, seq, claim } = stream()
    const next = history.append(session, 1, 'b', now)
    history.leave(session, 1, 0)
    await claim({ seq: next })
    await expect(claim({ seq })).rejects.toMatchObject({ code: 'stream.moved-on' })
    await expect(claim({ seq: next + 1 })).rejects.toMatchObject({ code: 'stream.lost' })
  })
})
