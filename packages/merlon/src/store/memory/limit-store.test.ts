import { expect, test } from 'vitest'
import { limitStoreContract } from '../../limit/limit-store.contract.ts'
import { limitOf, takeOf } from '../../limit/limit-store.ts'
import { MemoryLimitStore } from './limit-store.ts'

limitStoreContract('memory', () => new MemoryLimitStore(), { runs: 500 })

const start = 1_000_000
const limit = limitOf({ name: 'calls', callsMax: 2, windowMs: 1_000 })
const of = (...buckets: string[]) => buckets.map((bucket) => takeOf(limit, [bucket]))

test('peek knows every bucket', () => {
  const store = new MemoryLimitStore()
  store.take(of('a'), start)
  store.take(of('a'), start)
  expect(store.peek(of('a'), start)).toEqual({ ok: false, limit, retryAfterMs: 500, remaining: 0 })
  expect(store.peek(of('a', 'b'), start + 499)).toEqual({ ok: false, limit, retryAfterMs: 1, remaining: 0 })
  expect(store.size).toBe(1)
})

test('RL-03: holds no more buckets than it may; beyond that a new one is refused and the known ones go on', () => {
  const store = new MemoryLimitStore(3)
  expect(store.take(of('a', 'b'), start).ok).toBe(true)
  // Two new ones where there is room for one: neither is made.
  expect(store.take(of('c', 'd'), start)).toEqual({ ok: false, limit, retryAfterMs: 1_000, remaining: 0 })
  expect(store.size).toBe(2)
  expect(store.take(of('c'), start).ok).toBe(true)
  expect(store.take(of('d'), start).ok).toBe(false)
  expect(store.take(of('a'), start).ok).toBe(true)
  // Full again they make room, once a second at most has been looked for it.
  expect(store.take(of('d'), start + 999).ok).toBe(false)
  expect(store.take(of('d'), start + 1_000).ok).toBe(true)
  expect(store.size).toBe(1)
})

test('forgets the buckets that are full again', () => {
  const store = new MemoryLimitStore()
  store.take(of('a', 'b'), start)
  store.take(of('a'), start)
  expect(store.sweep(start + 499)).toBe(0)
  expect(store.sweep(start + 500)).toBe(1)
  expect(store.sweep(start + 1_000)).toBe(1)
  expect(store.size).toBe(0)
})

test('RL-03: strangers fill half of the room and no more: who has shown a credential still finds a bucket', () => {
  const store = new MemoryLimitStore(6)
  const open = limitOf({ name: 'failures', callsMax: 2, windowMs: 1_000, anybody: true })
  const from = (...addresses: string[]) => addresses.map((address) => takeOf(open, [address]))
  expect(store.take(from('1', '2'), start).ok).toBe(true)
  // One more is room for, two are not; and none is made.
  expect(store.take(from('3', '4'), start)).toEqual({ ok: false, limit: open, retryAfterMs: 1_000, remaining: 0 })
  expect(store.take(from('3'), start).ok).toBe(true)
  expect(store.take(from('4'), start).ok).toBe(false)
  expect(store.take([...of('a'), ...from('5')], start).ok).toBe(false)
  expect(store.take(of('a', 'b', 'c'), start).ok).toBe(true)
  expect(store.take(from('1'), start).ok).toBe(true)
  expect(store.size).toBe(6)
  // Full again they make room for others.
  expect(store.take(from('4', '5', '6'), start + 1_000).ok).toBe(true)
  expect(store.take(from('7'), start + 1_000).ok).toBe(false)
  expect(store.take(of('d', 'e', 'f'), start + 1_000).ok).toBe(true)
})
