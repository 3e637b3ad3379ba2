import * as fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { HistoryStore } from './history-store.ts'

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

/** What a `HistoryStore` is, whatever it is made of. `open` gives an empty one with these bounds for each session. */
export function historyStoreContract(name: string, open: (bounds: HistoryBounds) => Promise<HistoryStoreOpened>): void {
  describe(`the history store ${name}`, () => {
    let opened: HistoryStoreOpened
    let store: HistoryStore

    beforeEach(async () => {
      opened = await open(bounds)
      store = opened.store
    })
    afterEach(() => opened.close?.())

    const append = async (stream: number, message: string, at = now, session = 's') =>
      store.append({ id: session, tenant: 'a' }, stream, message, at)
    const after = async (stream: number, seq: number, at = now, session = 's') =>
      (await store.after({ id: session, tenant: 'a' }, stream, seq, at))?.map(({ message }) => message)

    test('gives what came after a place, in order, with its place', async () => {
      const first = await append(1, 'a')
      const second = await append(1, 'b')
      const third = await append(1, '')
      expect(first < second && second < third).toBe(true)
      expect(await store.after({ id: 's', tenant: 'a' }, 1, first, now)).toEqual([
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
    })

    test('many appends at once each get a place of their own, in the order that a resume shows', async () => {
      const places = await Promise.all(['a', 'b', 'c', 'd', 'e'].map((message) => append(1, message)))
      expect(new Set(places).size).toBe(5)
      const kept = await store.after({ id: 's', tenant: 'a' }, 1, 0, now)
      expect(kept?.map(({ seq }) => seq)).toEqual([...places].sort((a, b) => a - b))
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
  })
}
