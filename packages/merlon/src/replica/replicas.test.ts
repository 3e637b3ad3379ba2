import { expect, test } from 'vitest'
import { SingleReplica } from './replicas.ts'

test('where one process has the store, every other name is of one that is gone', () => {
  const [now, before] = [new SingleReplica(), new SingleReplica()]
  expect(now.self).toMatch(/^[0-9a-f]{32}$/)
  expect(now.isAlive(now.self)).toBe(true)
  expect(now.isAlive(before.self)).toBe(false)
  expect(now.isAlive('')).toBe(false)
})
