import * as fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Claimant, HistoryStore, Mark } from './history-store.ts'

export interface HistoryBounds {
  readonly eventsMax: number
  readonly historyMs: number
}

export interface HistoryStoreOpened {
  readonly store: HistoryStore
  close?(): Promise<void>
}

const now = 1_800_000_000_000
const bounds: HistoryBounds = { eventsMax: 5, historyMs: 1_000 }

/**
 * What a `HistoryStore` is, whatever it is made of. `open` gives an empty one with these bounds for each session. One with a
 * `clock` of its own says when a claim was made, whatever it is told.
 */
export function historyStoreContract(
  name: string,
  open: (bounds: HistoryBounds) => Promise<HistoryStoreOpened>,
  clock: 'given' | 'its own' = 'given',
): void {
  describe(`the history store ${name}`, () => {
    let opened: HistoryStoreOpened
    let store: HistoryStore

    beforeEach(async () => {
      opened = await open(bounds)
      store = opened.store
    })
    afterEach(() => opened.close?.())

    const owner = { id: 's', tenant: 'a' }
    const append = async (stream: number, message: string, at = now, session = 's', mark?: Mark) =>
      store.append({ id: session, tenant: 'a' }, stream, message, at, mark)
    const opens = { producer: 'A', about: '{"id":1}' }
    const claim = async (stream: number, seq: number | undefined, claimant: Partial<Claimant> = {}) =>
      store.claim(owner, stream, seq, { reader: 'B', waitedMs: 0, ...claimant }, now)
    const after = async (stream: number, seq: number, at = now, session = 's') =>
      (await store.after({ id: session, tenant: 'a' }, stream, seq, at))?.events.map(({ message }) => message)

    test('gives what came after a place, in order, with its place', async () => {
      const first = await append(1, 'a')
      const second = await append(1, 'b')
      const third = await append(1, '')
      expect(first < second && second < third).toBe(true)
      expect((await store.after({ id: 's', tenant: 'a' }, 1, first, now))?.events).toEqual([
        { stream: 1, seq: second, message: 'b' },
        { stream: 1, seq: third, message: '' },
      ])
      expect(await after(1, third)).toEqual([])
      expect(await after(1, 0)).toEqual(['a', 'b', ''])
    })

    test('EV-02: streams and sessions are kept apart', async () => {
      const one = await append(1, 'of one')
      const two = await append(2, 'of two')
      await append(1, 'more of one')
      await append(1, 'of another', now, 't')
      expect(await after(1, one)).toEqual(['more of one'])
      expect(await after(2, two)).toEqual([])
      expect(await after(2, 0)).toEqual(['of two'])
      expect(await after(1, 0, now, 't')).toEqual(['of another'])
      expect(await after(3, 0)).toEqual([])
    })

    test('places grow within a session, over all its streams', async () => {
      const places = []
      for (const stream of [1, 2, 1, 0, 2]) places.push(await append(stream, 'm'))
      expect(places).toEqual([...places].sort((a, b) => a - b))
      expect(new Set(places).size).toBe(5)
    })

    test('keeps a message as it is', async () => {
      const messages = ['{"a":"é世界😀"}', 'x'.repeat(100_000), '\u2028', "'; DROP TABLE events; --"]
      for (const message of messages) await append(1, message)
      expect(await after(1, 0)).toEqual(messages)
    })

    test('EV-05: holds no more than so many events, and says so where some are missing', async () => {
      const places = []
      for (let at = 1; at <= 7; at++) places.push(await append(1, `m${at}`))
      expect(await after(1, 0)).toBeUndefined()
      expect(await after(1, places[0]!)).toBeUndefined()
      expect(await after(1, places[1]!)).toEqual(['m3', 'm4', 'm5', 'm6', 'm7'])
      expect(await after(1, places[6]!)).toEqual([])
    })

    test('EV-05: events that are too old are gone, with their last millisecond', async () => {
      const first = await append(1, 'a')
      const second = await append(1, 'b', now + 500)
      expect(await after(1, 0, now + 999)).toEqual(['a', 'b'])
      expect(await after(1, 0, now + 1_000)).toBeUndefined()
      expect(await after(1, first, now + 1_000)).toEqual(['b'])
      expect(await after(1, first, now + 1_500)).toBeUndefined()
      expect(await after(1, second, now + 1_500)).toEqual([])
    })

    test('a stream that lost nothing is whole, whatever another of the session lost', async () => {
      const quiet = await append(1, 'quiet')
      for (let at = 0; at < 5; at++) await append(2, `busy ${at}`)
      expect(await after(1, quiet)).toEqual([])
      expect(await after(1, 0)).toBeUndefined()
      const again = await append(1, 'again')
      expect(await after(1, quiet)).toEqual(['again'])
      expect(await after(1, again)).toEqual([])
    })

    test('a place that was never given is not known', async () => {
      const last = await append(1, 'a')
      expect(await after(1, last + 1)).toBeUndefined()
      expect(await after(1, last + 1_000)).toBeUndefined()
      expect(await after(1, 1, now, 'never seen')).toBeUndefined()
    })

    test('forgets a session whole, and no other', async () => {
      const place = await append(1, 'a')
      await append(1, 'b', now, 't')
      await store.drop('s')
      await store.drop('never seen')
      expect(await after(1, place)).toBeUndefined()
      expect(await after(1, 0, now, 't')).toEqual(['b'])
    })

    test('a sweep forgets what is too old and says how many', async () => {
      for (const session of ['s', 't']) await append(1, 'old', now, session)
      await append(1, 'young', now + 500)
      expect(await store.sweep(now + 999)).toBe(0)
      expect(await store.sweep(now + 1_000)).toBe(2)
      expect(await store.sweep(now + 1_000)).toBe(0)
      expect(await after(1, 0, now + 1_000)).toBeUndefined()
    })

    test('a session of very many streams is bounded, and gives a gap as a gap', async () => {
      const first = await append(1, 'first')
      for (let stream = 2; stream <= 3_000; stream++) await append(stream, `only of ${stream}`)
      expect(await after(1, 0)).toBeUndefined()
      const young = await append(9_999, 'young')
      expect(await after(9_999, young)).toEqual([])
      const late = await append(1, 'late')
      expect(await after(1, late)).toEqual([])
      // What was known of so old a place may be gone; then it counts as a gap, never as nothing missed.
      expect([undefined, ['late']]).toContainEqual(await after(1, first))
    }, 60_000)

    test('many appends at once each get a place of their own, in the order that a resume shows', async () => {
      const places = await Promise.all(['a', 'b', 'c', 'd', 'e'].map((message) => append(1, message)))
      expect(new Set(places).size).toBe(5)
      const kept = await store.after({ id: 's', tenant: 'a' }, 1, 0, now)
      expect(kept?.events.map(({ seq }) => seq)).toEqual([...places].sort((a, b) => a - b))
    })

    test('EV-04: for any course of events, a resume gives all that was missed or says that it cannot', async () => {
      let course = 0
      await fc.assert(
        fc.asyncProperty(
          fc.array(
            fc.record({ stream: fc.integer({ min: 0, max: 2 }), waitMs: fc.constantFrom(0, 0, 1, 400, 1_000) }),
            { maxLength: 20 },
          ),
          fc.nat(),
          async (events, pick) => {
            const session = `course-${++course}`
            const sent: { stream: number; seq: number; message: string; at: number }[] = []
            let at = now
            for (const { stream, waitMs } of events) {
              at += waitMs
              const message = `m${sent.length}`
              sent.push({ stream, message, at, seq: await append(stream, message, at, session) })
            }
            fc.pre(sent.length > 0)
            const last = sent[pick % sent.length]!
            const missed = sent.filter(({ stream, seq }) => stream === last.stream && seq > last.seq)
            const kept = sent.slice(-bounds.eventsMax).filter((event) => event.at + bounds.historyMs > at)
            const whole = missed.every((event) => kept.includes(event))
            expect(await after(last.stream, last.seq, at, session)).toEqual(
              whole ? missed.map(({ message }) => message) : undefined,
            )
          },
        ),
        { numRuns: 100 },
      )
    })

    describe('who reads a stream', () => {
      test('a stream is known from its first event on, with who makes it and what it answers', async () => {
        expect(await claim(1, 0)).toEqual({ outcome: 'unknown' })
        const first = await append(1, 'a', now, 's', { opens })
        await append(1, 'b')
        await store.leave(owner, 1, 0)
        expect(await claim(1, first)).toEqual({
          ...{ outcome: 'held', claim: 1, position: first, producer: 'A', about: '{"id":1}', ended: false, told: 0 },
        })
        expect(await claim(2, first)).toEqual({ outcome: 'unknown' })
        expect(await store.after(owner, 1, first, now)).toMatchObject({ producer: 'A', ended: false })
      })

      test('what it answers comes back as it was', async () => {
        const about = '{"id":"é世界😀\u2028","name":"\'; DROP TABLE histories; --"}'
        const first = await append(1, 'a', now, 's', { opens: { producer: 'B', about } })
        expect(await claim(1, first)).toMatchObject({ outcome: 'held', about })
      })

      test('SE-11: who began it reads it until its replica says that they left', async () => {
        const first = await append(1, 'a', now, 's', { opens })
        expect(await claim(1, first)).toEqual({ outcome: 'taken', by: 'A', claim: 0, racing: false })
        await store.leave(owner, 1, 0)
        expect(await claim(1, first)).toMatchObject({ outcome: 'held', claim: 1 })
        // To leave again is to leave what is another's by now.
        await store.leave(owner, 1, 0)
        expect(await claim(1, first, { reader: 'A' })).toEqual({ outcome: 'taken', by: 'B', claim: 1, racing: false })
      })

      test('SE-11: one reader holds it; the same replica may take it over, and what a dead one held', async () => {
        const first = await append(1, 'a', now, 's', { opens })
        expect(await claim(1, first, { over: 'A' })).toMatchObject({ outcome: 'held', claim: 1 })
        expect(await claim(1, first, { reader: 'C' })).toMatchObject({ outcome: 'taken', by: 'B' })
        expect(await claim(1, first, { reader: 'C', over: 'A' })).toMatchObject({ outcome: 'taken', by: 'B' })
        expect(await claim(1, first)).toMatchObject({ outcome: 'held', claim: 2 })
        await store.leave(owner, 1, 1)
        expect(await claim(1, first, { reader: 'C' })).toMatchObject({ outcome: 'taken', by: 'B', claim: 2 })
        expect(await claim(1, first, { reader: 'C', over: 'B' })).toMatchObject({ outcome: 'held', claim: 3 })
      })

      test('a claim that was not answered is given up by the replica that made it, and no other is', async () => {
        const first = await append(1, 'a', now, 's', { opens })
        // Who began it asked for nothing.
        await store.leave(owner, 1, { of: 'A' })
        expect(await claim(1, first)).toMatchObject({ outcome: 'taken', by: 'A', claim: 0 })
        await store.leave(owner, 1, 0)
        expect(await claim(1, first)).toMatchObject({ outcome: 'held', claim: 1 })
        await store.leave(owner, 1, { of: 'A' })
        await store.leave(owner, 2, { of: 'B' })
        expect(await claim(1, first, { reader: 'C' })).toMatchObject({ outcome: 'taken', by: 'B', claim: 1 })
        await store.leave(owner, 1, { of: 'B' })
        expect(await claim(1, first, { reader: 'C' })).toMatchObject({ outcome: 'held', claim: 2 })
        await store.leave(owner, 1, { of: 'B' })
        expect(await claim(1, first)).toMatchObject({ outcome: 'taken', by: 'C', claim: 2 })
      })

      test('EV-09: of many claims at once one wins', async () => {
        const first = await append(1, 'a', now, 's', { opens })
        await store.leave(owner, 1, 0)
        const claims = await Promise.all(
          Array.from({ length: 10 }, (_, at) => claim(1, first, { reader: `R${at}`, over: 'A' })),
        )
        const won = claims.filter(({ outcome }) => outcome === 'held')
        expect(won).toMatchObject([{ claim: 1 }])
        for (const lost of claims) if (lost !== won[0]) expect(lost).toMatchObject({ outcome: 'taken', claim: 1 })
      })

      test('EV-09: who came before another claimed it came at the same time, also where that one has left', async () => {
        const first = await append(1, 'a', now, 's', { opens, ends: true })
        expect(await claim(1, first, { waitedMs: 60_000 })).toMatchObject({ outcome: 'held', claim: 1 })
        expect(await claim(1, first, { waitedMs: 60_000 })).toMatchObject({ outcome: 'taken', claim: 1, racing: true })
        await store.leave(owner, 1, 1)
        expect(await claim(1, first, { reader: 'C', waitedMs: 60_000 })).toMatchObject({
          outcome: 'taken',
          racing: true,
        })
        expect(await claim(1, first, { reader: 'C' })).toMatchObject({ outcome: 'held', claim: 2 })
      })

      test('EV-09: who came before a reader had all of it came at the same time; who came after that did not', async () => {
        const first = await append(1, 'a', now, 's', { opens, ends: true })
        expect(await claim(1, first)).toMatchObject({ outcome: 'held', claim: 1 })
        // As one who came after the first, and was heard when that one had read for a minute.
        const later = (change: Partial<Claimant>) =>
          store.claim(owner, 1, first, { reader: 'C', waitedMs: 0, ...change }, now + 60_000)
        await store.leave(owner, 1, 1, 800)
        // Where the engine's own clock says when, the minute has not passed, and any who come are within it.
        expect(await later({ waitedMs: 59_500 })).toMatchObject({ outcome: 'taken', by: undefined, racing: true })
        if (clock === 'given') expect(await later({ waitedMs: 59_200 })).toMatchObject({ outcome: 'held', claim: 2 })
      })

      test('EV-09: a claim that seems to be of the future keeps nobody out who comes now', async () => {
        const first = await append(1, 'a', now, 's', { opens, ends: true })
        expect(await claim(1, first)).toMatchObject({ outcome: 'held', claim: 1 })
        await store.leave(owner, 1, 1, 3_600_000)
        expect(await claim(1, first, { reader: 'C', waitedMs: 60_000 })).toMatchObject({ outcome: 'held', claim: 2 })
        // What it is taken for from then on is a claim of now.
        await store.leave(owner, 1, 2)
        expect(await claim(1, first, { waitedMs: 60_000 })).toMatchObject({ outcome: 'taken', racing: true })
      })

      test.runIf(clock === 'given')(
        'EV-09: a clock that is set back keeps nobody out, but for the last second',
        async () => {
          const first = await append(1, 'a', now, 's', { opens, ends: true })
          const at = (time: number, waitedMs = 0) => store.claim(owner, 1, first, { reader: 'B', waitedMs }, time)
          expect(await at(now)).toMatchObject({ outcome: 'held', claim: 1 })
          await store.leave(owner, 1, 1)
          expect(await at(now, 1)).toMatchObject({ outcome: 'taken', racing: true })
          expect(await at(now - 1)).toMatchObject({ outcome: 'taken', racing: true })
          expect(await at(now - 1_000)).toMatchObject({ outcome: 'taken', racing: true })
          expect(await at(now - 1_001)).toMatchObject({ outcome: 'held', claim: 2 })
          expect(await at(now - 1_001)).toMatchObject({ outcome: 'held', claim: 3 })
        },
      )

      test('a cursor that has moved on is not moved back by an older id', async () => {
        const places = []
        for (const message of ['a', 'b', 'c'])
          places.push(await append(1, message, now, 's', places.length ? {} : { opens }))
        const [first, second] = places as [number, number]
        await store.leave(owner, 1, 0)
        for (const seq of [first, first, second]) {
          const held = await claim(1, seq)
          expect(held).toMatchObject({ outcome: 'held', position: seq })
          await store.leave(owner, 1, held.outcome === 'held' ? held.claim : 0)
        }
        expect(await claim(1, first)).toEqual({ outcome: 'moved-on' })
        expect(await claim(1, first, { reader: 'A' })).toEqual({ outcome: 'moved-on' })
        expect(await claim(1, second)).toMatchObject({ outcome: 'held' })
        expect(await claim(1, first)).toEqual({ outcome: 'moved-on' })
      })

      test('a place that was never given is not claimed, and moves no cursor', async () => {
        const first = await append(1, 'a', now, 's', { opens: { ...opens, producer: 'B' } })
        expect(await claim(1, first + 1)).toEqual({ outcome: 'unknown' })
        expect(await claim(0, 7)).toEqual({ outcome: 'unknown' })
        expect(await claim(1, first)).toMatchObject({ outcome: 'held' })
      })

      test('whoever began it has left it with its end, and who came back for it elsewhere has not', async () => {
        const first = await append(1, 'a', now, 's', { opens })
        await append(1, 'b', now, 's', { ends: true })
        expect(await claim(1, first)).toMatchObject({ outcome: 'held', ended: true })
        expect(await store.after(owner, 1, first, now)).toMatchObject({ ended: true })
        await append(2, 'the only one', now, 's', { opens, ends: true })
        expect(await claim(2, 0)).toMatchObject({ outcome: 'held', ended: true })
        const third = await append(3, 'a', now, 's', { opens })
        await store.leave(owner, 3, 0)
        await claim(3, third)
        await append(3, 'b', now, 's', { ends: true })
        expect(await claim(3, third, { reader: 'C' })).toMatchObject({ outcome: 'taken', by: 'B', claim: 1 })
      })

      test('who came back to where it is made has not left it with its end', async () => {
        const first = await append(1, 'a', now, 's', { opens })
        await store.leave(owner, 1, 0)
        expect(await claim(1, first, { reader: 'A' })).toMatchObject({ outcome: 'held', claim: 1 })
        await append(1, 'b', now, 's', { ends: true })
        expect(await claim(1, first)).toMatchObject({ outcome: 'taken', by: 'A', claim: 1 })
        await store.leave(owner, 1, 1)
        expect(await claim(1, first)).toMatchObject({ outcome: 'held', claim: 2, ended: true })
      })

      test('whoever began it has left it where its producer ends it for what could not be kept', async () => {
        const first = await append(1, 'a', now, 's', { opens })
        expect(await store.close(owner, 1, 'A', 'lost', now)).toBe(true)
        expect(await claim(1, first)).toMatchObject({ outcome: 'held', claim: 1, ended: true })
        expect(await after(1, first)).toEqual(['lost'])
        const second = await append(2, 'a', now, 's', { opens })
        await store.leave(owner, 2, 0)
        await claim(2, second, { reader: 'A' })
        expect(await store.close(owner, 2, 'A', 'lost', now)).toBe(true)
        expect(await claim(2, second)).toMatchObject({ outcome: 'taken', by: 'A', claim: 1 })
      })

      test('the session’s own stream is there before its first event, and goes on', async () => {
        const opened = await claim(0, undefined)
        expect(opened).toEqual({
          ...{ outcome: 'held', claim: 1, position: 0, producer: undefined, about: undefined, ended: false, told: 0 },
        })
        expect(await store.after(owner, 0, 0, now)).toEqual({ events: [], producer: undefined, ended: false })
        expect(await claim(0, undefined, { reader: 'C' })).toMatchObject({ outcome: 'taken', by: 'B' })
        const first = await append(0, 'a')
        await append(1, 'of another', now, 's', { opens })
        await append(0, 'b')
        await store.leave(owner, 0, 1)
        // Who names no place wants what comes from here on; who names one gets what came after it.
        const next = await claim(0, undefined, { reader: 'C' })
        expect(next).toMatchObject({ outcome: 'held', position: first + 2 })
        expect(await claim(0, first, { reader: 'C' })).toMatchObject({ outcome: 'held', position: first })
        expect(await after(0, first)).toEqual(['b'])
      })

      test('EV-04: of many who tell of a change in the session’s own stream one does, and in the order of changes', async () => {
        const tell = async (change: number) => store.tell(owner, `change ${change}`, change, now)
        expect(await tell(1)).toBe(false)
        expect(await store.isOpen(owner)).toBe(false)
        const opened = await claim(0, undefined)
        expect(await store.isOpen(owner)).toBe(true)
        expect(await store.isOpen({ id: 't', tenant: 'a' })).toBe(false)
        const told = opened.outcome === 'held' ? opened.told : expect.unreachable()
        expect(await tell(told)).toBe(false)
        const tries = await Promise.all(Array.from({ length: 8 }, () => tell(told + 1)))
        expect(tries.filter(Boolean)).toHaveLength(1)
        expect(await tell(told + 3)).toBe(true)
        expect([await tell(told + 2), await tell(told + 3)]).toEqual([false, false])
        expect(await after(0, 0)).toEqual([`change ${told + 1}`, `change ${told + 3}`])
        // Who takes it over learns how far it was told.
        await store.leave(owner, 0, 1)
        expect(await claim(0, undefined, { reader: 'C' })).toMatchObject({ outcome: 'held', told: told + 3 })
      })

      test('claims of one session say nothing of another', async () => {
        await claim(0, undefined)
        const other = await store.claim({ id: 't', tenant: 'a' }, 0, undefined, { reader: 'C', waitedMs: 0 }, now)
        expect(other).toMatchObject({ outcome: 'held', claim: 1 })
      })

      test('a stream of a producer that is gone is ended once, with one last message', async () => {
        const first = await append(1, 'a', now, 's', { opens })
        expect(await claim(1, first, { over: 'A' })).toMatchObject({ outcome: 'held', claim: 1 })
        expect(await store.close(owner, 1, 'C', 'gone', now)).toBe(false)
        expect(await store.close(owner, 2, 'A', 'gone', now)).toBe(false)
        const closed = await Promise.all(Array.from({ length: 5 }, async () => store.close(owner, 1, 'A', 'gone', now)))
        expect(closed.filter(Boolean)).toHaveLength(1)
        expect(await after(1, first)).toEqual(['gone'])
        expect(await store.after(owner, 1, first, now)).toMatchObject({ ended: true })
        // Who ended it reads it still.
        expect(await claim(1, first, { reader: 'C' })).toMatchObject({ outcome: 'taken', by: 'B' })
      })

      test('a stream that ended by itself is not ended again', async () => {
        const first = await append(1, 'a', now, 's', { opens, ends: true })
        expect(await store.close(owner, 1, 'A', 'gone', now)).toBe(false)
        expect(await after(1, first)).toEqual([])
      })

      test('a stream that goes on is remembered, whatever it and others lost', async () => {
        const first = await append(1, 'a', now, 's', { opens })
        const ended = { opens: { ...opens, producer: 'B' }, ends: true }
        await Promise.all(Array.from({ length: 2_500 }, (_, at) => append(2 + at, 'x', now, 's', ended)))
        await store.sweep(now)
        await store.sweep(now + 1_000)
        expect(await store.close(owner, 1, 'A', 'gone', now + 1_000)).toBe(true)
        expect(await after(1, first, now + 1_000)).toBeUndefined()
      })

      test('what is known of a stream goes with its session', async () => {
        const first = await append(1, 'a', now, 's', { opens })
        await store.drop('s')
        expect(await claim(1, first)).toEqual({ outcome: 'unknown' })
        expect(await store.close(owner, 1, 'A', 'gone', now)).toBe(false)
        await store.leave(owner, 1, 1)
      })
    })
  })
}
