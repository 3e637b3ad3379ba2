import { expect, test } from 'vitest'
import { isLoopback } from './values.ts'

test.each([
  ['127.0.0.1', true],
  ['127.8.8.8', true],
  ['::1', true],
  ['localhost', true],
  ['0.0.0.0', false],
  ['::', false],
  ['10.0.0.1', false],
  ['::ffff:127.0.0.1', false],
  ['127.0.0.1.example', false],
])('%s is loopback: %j', (host, loopback) => {
  expect(isLoopback(host)).toBe(loopback)
})
