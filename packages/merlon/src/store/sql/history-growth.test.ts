import { describe, expect, test } from 'vitest'
import { HistoryGrowth } from './history-growth.ts'

const growth = (eventsMax: number) => new HistoryGrowth({ eventsMax, historyMs: 60_000, bytesMax: 1_000 })
const session = (name: string) => Buffer.from(name)

describe('the growth of a history', () => {
  test('is too much a quarter beyond its events, or 64 where they are few', () => {
    for (const [eventsMax, most] of [
      [1_000, 1_250],
      [5, 69],
    ] as const) {
      const grown = growth(eventsMax)
      grown.add({ session: session('a'), events: most - 1, bytes: 0 })
      expect(grown.isTooMuch({ session: session('a'), events: 1, bytes: 0 })).toBe(false)
      expect(grown.isTooMuch({ session: session('a'), events: 2, bytes: 0 })).toBe(true)
      expect(grown.isTooMuch({ session: session('b'), events: 2, bytes: 0 })).toBe(false)
    }
  })

  test('is too much a quarter beyond its bytes, and begins anew once it was trimmed or swept', () => {
    const grown = growth(1_000)
    const more = { session: session('a'), events: 1, bytes: 626 }
    for (const begin of [() => undefined, () => grown.trimmed(session('a')), () => grown.swept()]) {
      begin()
      expect(grown.isTooMuch(more)).toBe(false)
      grown.add(more)
      expect(grown.isTooMuch(more)).toBe(true)
    }
  })

  test('RL-17: is remembered of so many sessions, and of those that go on before those that are quiet', () => {
    const grown = growth(1_000)
    const full = (name: string) => ({ session: session(name), events: 1_250, bytes: 0 })
    const one = (name: string) => ({ session: session(name), events: 1, bytes: 0 })
    for (const name of ['quiet', 'busy']) grown.add(full(name))
    for (let at = 0; at < 19_998; at++) grown.add(one(`s${at}`))
    grown.add({ session: session('busy'), events: 0, bytes: 0 })
    expect(grown.isTooMuch(one('quiet'))).toBe(true)
    for (let at = 0; at < 10_000; at++) grown.add(one(`t${at}`))
    expect(grown.isTooMuch(one('quiet'))).toBe(false)
    expect(grown.isTooMuch(one('busy'))).toBe(true)
  })
})
