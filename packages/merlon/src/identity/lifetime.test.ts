import fc from 'fast-check'
import { expect, it } from 'vitest'
import { parseGrace, parseLifetime } from './lifetime.ts'

const year = 365 * 86_400_000

it.each([
  ['90d', 7_776_000_000],
  ['12h', 43_200_000],
  ['30m', 1_800_000],
  ['365d', year],
])('reads %s', (text, ms) => expect(parseLifetime(text, year)).toBe(ms))

it.each([
  '0',
  '0d',
  '-1d',
  '1e9',
  '1e9d',
  '366d',
  '9999999d',
  'never',
  'null',
  '',
  'd',
  '1',
  '1.5h',
  '90D',
  ' 90d',
  '90d\n',
  '∞',
])('refuses the lifetime %j (AK-06)', (text) => expect(parseLifetime(text, year)).toBeUndefined())

it('never reads anything as longer than the most that is allowed', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[0-9]{1,9}[mhd]$/)), fc.nat(), (text, maxMs) => {
      const ms = parseLifetime(text, maxMs)
      expect(ms === undefined || (ms > 0 && ms <= maxMs)).toBe(true)
    }),
  )
})

it('reads 0 as no grace at all', () => {
  expect(parseGrace('0', year)).toBe(0)
  expect(parseGrace('24h', year)).toBe(86_400_000)
  expect(parseGrace('-1h', year)).toBeUndefined()
})
