import { isIP } from 'node:net'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { addressRule, canonicalRanges } from './address-ranges.ts'

test('AK-13: absent ranges allow every address, an empty list none, and ranges those in them', () => {
  expect(addressRule(undefined)).toBeUndefined()
  expect(addressRule([])!('192.0.2.1')).toBe(false)
  const allows = addressRule(['10.0.0.0/8', '192.0.2.7/32', '2001:db8::/32'])!
  for (const address of ['10.1.2.3', '192.0.2.7', '2001:db8:1::1', '::ffff:10.0.0.1'])
    expect(allows(address), address).toBe(true)
  for (const address of ['11.0.0.1', '192.0.2.8', '2001:db9::1', 'localhost', '', undefined])
    expect(allows(address), address).toBe(false)
})

test('ranges are written out, sorted and each once, or refused', () => {
  expect(canonicalRanges(['192.0.2.7', '10.0.0.0/8', '10.0.0.0/08', '2001:DB8::/32'])).toEqual([
    '10.0.0.0/8',
    '192.0.2.7/32',
    '2001:db8::/32',
  ])
  expect(canonicalRanges([])).toEqual([])
  for (const none of [
    '',
    '10.0.0.0/33',
    '::/129',
    '10.0.0/8',
    '10.0.0.0/8/8',
    '10.0.0.0/',
    'fe80::1%eth0',
    'x',
    '10.0.0.0/-1',
  ])
    expect(canonicalRanges([none]), none).toBeUndefined()
  expect(canonicalRanges(Array.from({ length: 65 }, (_, i) => `10.0.0.${i}`))).toBeUndefined()
})

test('an address is in the range that is itself, and every range that is taken can be asked', () => {
  fc.assert(
    fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), fc.nat(128), (address, bits) => {
      const ranges = canonicalRanges([`${address}/${Math.min(bits, isIP(address) === 4 ? 32 : 128)}`])
      expect(addressRule(ranges)!(address)).toBe(true)
    }),
  )
})
