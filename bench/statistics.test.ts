import { expect, test } from 'vitest'
import { median, medianRatio, quantile, welch } from './statistics.ts'

test('a quantile is a value that was measured, by nearest rank', () => {
  const hundred = Float64Array.from({ length: 100 }, (_, i) => i + 1)
  expect(quantile(hundred, 0.5)).toBe(50)
  expect(quantile(hundred, 0.99)).toBe(99)
  expect(quantile(hundred, 1)).toBe(100)
  expect(quantile([7], 0.99)).toBe(7)
  expect(quantile([], 0.5)).toBeNaN()
})

test('the median does not depend on the order, and of an even number is the middle of the two', () => {
  expect(median([9, 1, 5])).toBe(5)
  expect(median([4, 1, 2, 3])).toBe(2.5)
  expect(median([])).toBeNaN()
})

test('a ratio is taken within each round, so that a round in which the machine was slow does not move it', () => {
  expect(medianRatio([20, 200, 22], [10, 100, 11])).toBe(2)
  expect(medianRatio([20, 200], [10])).toBe(2)
  expect(medianRatio([20], [Number.NaN])).toBeNaN()
  expect(medianRatio([], [1])).toBeNaN()
})

test("Welch's t of two samples", () => {
  const { t, meanA, meanB } = welch([1, 2, 3, 4], [3, 4, 5, 6, 7])
  expect([meanA, meanB]).toEqual([2.5, 5])
  // (2.5 − 5) / √(1.6667/4 + 2.5/5)
  expect(t).toBeCloseTo(-2.6112, 4)
  expect(welch([1, 2], [1, 2]).t).toBe(0)
})
