import { expect, test } from 'vitest'
import { oneAtATime } from './one-at-a-time.ts'

const opening = () => {
  const runs: PromiseWithResolvers<string>[] = []
  const ask = oneAtATime(() => {
    const run = Promise.withResolvers<string>()
    runs.push(run)
    return run.promise
  })
  return { runs, ask }
}

test('whoever asks during a run shares the next, which begins after it', async () => {
  const { runs, ask } = opening()
  const first = ask()
  const later = [ask(), ask()]
  expect(runs).toHaveLength(1)
  runs[0]!.resolve('one')
  expect(await first).toBe('one')
  await expect.poll(() => runs.length).toBe(2)
  runs[1]!.resolve('two')
  expect(await Promise.all(later)).toEqual(['two', 'two'])
  const third = ask()
  expect(runs).toHaveLength(3)
  runs[2]!.resolve('three')
  expect(await third).toBe('three')
})

test('a run that fails is told to those who asked for it, and the next is not', async () => {
  const { runs, ask } = opening()
  const [first, second] = [ask(), ask()]
  runs[0]!.reject(new Error('failed'))
  await expect(first).rejects.toThrow('failed')
  await expect.poll(() => runs.length).toBe(2)
  runs[1]!.resolve('well')
  expect(await second).toBe('well')
})
