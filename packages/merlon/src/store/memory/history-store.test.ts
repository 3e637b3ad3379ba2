import { describe, expect, test } from 'vitest'
import { historyStoreContract } from '../../history/history-store.contract.ts'
import { MemoryHistoryStore } from './history-store.ts'

historyStoreContract('in memory', async (bounds) => ({ store: new MemoryHistoryStore(bounds) }))

describe('RL-17: the memory of the history store', () => {
  const now = 1_800_000_000_000
  const open = () =>
    new MemoryHistoryStore({ eventsMax: 1_000, historyMs: 60_000 }, { sessionCharsMax: 100, charsMax: 250 })
  const owner = (id: string) => ({ id, tenant: 'a' })
  const held = (store: MemoryHistoryStore, session: string) => store.after(owner(session), 1, 0, now)?.events.length

  test('holds of one session so many characters, and says where some are missing', () => {
    const store = open()
    const [first] = [1, 2, 3].map(() => store.append(owner('s'), 1, 'x'.repeat(40), now))
    expect(held(store, 's')).toBeUndefined()
    expect(store.after(owner('s'), 1, first!, now)?.events.length).toBe(2)
    const huge = store.append(owner('s'), 1, 'x'.repeat(101), now)
    expect(store.after(owner('s'), 1, first!, now)).toBeUndefined()
    expect(store.after(owner('s'), 1, huge, now)?.events).toEqual([])
  })

  test('holds of all so many, and lets the one go that was quiet for longest', () => {
    const store = open()
    for (const session of ['a', 'b', 'a']) store.append(owner(session), 1, 'x'.repeat(50), now)
    store.append(owner('c'), 1, 'x'.repeat(100), now)
    expect(['a', 'b', 'c'].map((session) => held(store, session))).toEqual([2, 1, 1])
    store.append(owner('d'), 1, 'x'.repeat(50), now)
    expect(['a', 'b', 'c', 'd'].map((session) => held(store, session))).toEqual([2, undefined, 1, 1])
    store.drop('a')
    store.append(owner('b'), 1, 'x'.repeat(100), now)
    expect(['c', 'd'].map((session) => held(store, session))).toEqual([1, 1])
  })
})
