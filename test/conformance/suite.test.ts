import { expect, test } from 'vitest'
import { type Check, complaints, passed } from './suite.ts'

const check = (status: Check['status']): Check => ({ id: 'an-id', status, description: 'what it looks at' })

test('a scenario passes with a success and no failure, and in no other way', () => {
  expect(passed([check('SUCCESS'), check('INFO'), check('SKIPPED'), check('WARNING')])).toBe(true)
  expect(passed([check('SUCCESS'), check('FAILURE')])).toBe(false)
  expect(passed([check('SKIPPED')])).toBe(false)
  expect(passed([check('WARNING')])).toBe(false)
  expect(passed([check('INFO')])).toBe(false)
  expect(passed([])).toBe(false)
})

test('a scenario that did not run, made no check or fell short says so', () => {
  expect(complaints(undefined)).toEqual(['the suite did not run this scenario'])
  expect(complaints([])).toEqual(['the suite made no check'])
  expect(complaints([check('SUCCESS'), check('INFO')])).toEqual([])
  expect(complaints([check('SKIPPED'), { ...check('FAILURE'), errorMessage: 'got 500' }])).toEqual([
    'SKIPPED an-id: what it looks at',
    'FAILURE an-id: got 500',
  ])
})
