import { expect, test } from 'vitest'
import { persist } from './resumption.ts'

test('what must not be left undone is done however long the store was out of reach', async () => {
  let tries = 0
  const pauses: number[] = []
  await persist(
    () => {
      if (++tries <= 1_000) throw new Error('out of reach')
    },
    async (ms) => pauses.push(ms),
  )
  expect(tries).toBe(1_001)
  expect(new Set(pauses)).toEqual(new Set([1_000]))
})
