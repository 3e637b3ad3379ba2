import { expect, test } from 'vitest'
import { requestIds } from './request-ids.ts'

const key = (fill: number) => (size: number) => Buffer.alloc(size, fill)

test('AU-05: ids of requests never come twice, and tell nothing of how many there were', () => {
  const next = requestIds(key(1))
  const ids = Array.from({ length: 1_000 }, next)
  expect(new Set(ids).size).toBe(1_000)
  expect(ids.every((id) => /^[0-9a-f]{24}$/.test(id))).toBe(true)
  // What two ids have in common is chance: one digit of sixteen is the same as in the next, 1,500 in all.
  const alike = ids
    .slice(1)
    .reduce((sum, id, at) => sum + [...id].filter((digit, i) => digit === ids[at]?.[i]).length, 0)
  expect(alike).toBeLessThan(2_000)
  expect([...ids].sort()).not.toEqual(ids)
})

test('another process has other ids', () => {
  expect(requestIds(key(1))()).toBe(requestIds(key(1))())
  expect(requestIds(key(1))()).not.toBe(requestIds(key(2))())
})
