import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { every } from './every.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

test('what fails is told and done again, and is nobody’s unhandled rejection', async () => {
  const failures: unknown[] = []
  const run = vi.fn((at: number) => {
    if (at === 1) throw new Error('at once')
    return at === 2 ? Promise.reject(new Error('later')) : undefined
  })
  const timer = every(
    10,
    () => run(run.mock.calls.length + 1),
    (cause) => failures.push(String(cause)),
  )
  await vi.advanceTimersByTimeAsync(30)
  clearInterval(timer)
  expect(run).toHaveBeenCalledTimes(3)
  expect(failures).toEqual(['Error: at once', 'Error: later'])
})
