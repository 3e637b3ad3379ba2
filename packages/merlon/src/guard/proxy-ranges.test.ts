import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { arrivalOf, gateWith } from './arrival.fixture.ts'
import { addressBucket, ProxyRanges } from './proxy-ranges.ts'
import { resolveAddress } from './resolve-address.ts'

const proxies = new ProxyRanges(['10.0.0.0/8', 'fd00::/8'])
const trusted = fc.oneof(
  fc.ipV4().map((address) => address.replace(/^[0-9]+/, '10')),
  fc.constantFrom('fd00::1', '::ffff:10.1.2.3', '::FFFF:10.1.2.3'),
)
const stranger = fc.oneof(
  fc.ipV4().filter((address) => !address.startsWith('10.')),
  fc.integer({ min: 1, max: 0xffff }).map((group) => `2001:db8::${group.toString(16)}`),
)
const hops = (lists: readonly (readonly string[])[]) => lists.flat().join(', ')

describe('the client address', () => {
  test('OH-07: is the peer’s, whatever it forwards, unless the peer is a trusted proxy', () => {
    fc.assert(
      fc.property(stranger, fc.oneof(fc.string(), fc.ipV4()), (peer, forwarded) => {
        expect(proxies.clientAddress(peer, forwarded)).toBe(peer)
        expect(new ProxyRanges([]).clientAddress('10.0.0.1', forwarded)).toBe('10.0.0.1')
      }),
    )
  })

  test('OH-07: behind trusted proxies it is the right-most that none of them is; what stands to its left is never believed', () => {
    fc.assert(
      fc.property(
        trusted,
        fc.array(fc.oneof(stranger, trusted, fc.string()), { maxLength: 3 }),
        stranger,
        fc.array(trusted, { maxLength: 3 }),
        (peer, claimed, client, through) => {
          expect(proxies.clientAddress(peer, hops([claimed, [client], through]))).toBe(client)
        },
      ),
    )
  })

  test('a hop that is no address ends the list: the last that was believed stands', () => {
    expect(proxies.clientAddress('10.0.0.1', '203.0.113.9, unknown')).toBe('10.0.0.1')
    expect(proxies.clientAddress('10.0.0.1', '203.0.113.9, unknown, 10.0.0.2')).toBe('10.0.0.2')
    expect(proxies.clientAddress('10.0.0.1', '203.0.113.9:1234')).toBe('10.0.0.1')
    expect(proxies.clientAddress('10.0.0.1', '[2001:db8::1]')).toBe('10.0.0.1')
    expect(proxies.clientAddress('10.0.0.1', '')).toBe('10.0.0.1')
  })

  test('where all hops are proxies it is the first of them', () => {
    expect(proxies.clientAddress('10.0.0.1', '10.0.0.3, 10.0.0.2')).toBe('10.0.0.3')
  })

  test('an IPv4 address that came mapped into IPv6 is written as IPv4', () => {
    expect(proxies.clientAddress('::ffff:203.0.113.9', undefined)).toBe('203.0.113.9')
    expect(proxies.clientAddress('::FFFF:203.0.113.9', undefined)).toBe('203.0.113.9')
    expect(proxies.clientAddress('::ffff:10.0.0.1', '203.0.113.9')).toBe('203.0.113.9')
  })

  test('a range that is none is refused by name', () => {
    for (const range of [
      '10.0.0.0',
      '10.0.0.0/',
      '10.0.0.0/33',
      '10.0.0.0/8/9',
      '10.0.0.0/-1',
      '10.0.0.0/8.5',
      '10.0.0.0/0x8',
      '10.0.0.0/ 8',
      'x/8',
      '::/129',
      '',
      '/',
      '10.0.0/8',
      '*',
    ])
      expect(() => new ProxyRanges([range]), range).toThrow(new RangeError(`not an address range: ${range}`))
    for (const range of ['10.0.0.0/8', '0.0.0.0/0', '10.0.0.1/32', '::/0', 'fd00::/8', '::1/128'])
      expect(() => new ProxyRanges([range]), range).not.toThrow()
  })

  test('resolveAddress believes a forwarded address only as the gate says', () => {
    const headers = { 'x-forwarded-for': '203.0.113.9', forwarded: 'for=203.0.113.8', 'x-real-ip': '203.0.113.7' }
    expect(resolveAddress(arrivalOf({ peerAddress: '10.0.0.1', headers }))).toEqual({ address: '10.0.0.1' })
    const behind = gateWith({ proxies })
    expect(resolveAddress(arrivalOf({ peerAddress: '10.0.0.1', headers }, behind))).toEqual({ address: '203.0.113.9' })
    expect(resolveAddress(arrivalOf({ peerAddress: '192.0.2.1', headers }, behind))).toEqual({ address: '192.0.2.1' })
  })
})

describe('addressBucket', () => {
  const groups = fc.array(fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 0xffff })), { minLength: 8, maxLength: 8 })

  test('RL-03: an IPv6 client has one bucket for its /64, however the address is written', () => {
    fc.assert(
      fc.property(groups, groups, fc.boolean(), (address, other, upper) => {
        const network = address
          .slice(0, 4)
          .map((group) => group.toString(16))
          .join(':')
        const neighbour = [...address.slice(0, 4), ...other.slice(4)]
        fc.pre(!isMapped(address) && !isMapped(neighbour))
        for (const spelling of spellings(address))
          expect(addressBucket(upper ? spelling.toUpperCase() : spelling), spelling).toBe(network)
        for (const spelling of spellings(neighbour)) expect(addressBucket(spelling), spelling).toBe(network)
      }),
      { numRuns: 200 },
    )
  })

  test('two networks never share a bucket', () => {
    fc.assert(
      fc.property(groups, groups, (one, two) => {
        fc.pre(one.slice(0, 4).join() !== two.slice(0, 4).join())
        expect(addressBucket(spellings(one)[0]!)).not.toBe(addressBucket(spellings(two).at(-1)!))
      }),
    )
  })

  test('an IPv4 address has a bucket of its own', () => {
    fc.assert(fc.property(fc.ipV4(), (address) => addressBucket(address) === address))
    expect(addressBucket('')).toBe('')
    expect(addressBucket('fe80::1%eth0')).toBe('fe80:0:0:0')
  })

  test('an IPv4 client of a socket that takes both is counted by its own address', () => {
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 255 }), { minLength: 4, maxLength: 4 }), (bytes) => {
        const [a = 0, b = 0, c = 0, d = 0] = bytes
        for (const spelling of spellings([0, 0, 0, 0, 0, 0xffff, a * 256 + b, c * 256 + d]))
          expect(addressBucket(spelling), spelling).toBe(bytes.join('.'))
      }),
    )
    expect(addressBucket('::fffe:c000:201')).toBe('0:0:0:0')
  })

  const isMapped = (address: readonly number[]) => address.slice(0, 6).join() === '0,0,0,0,0,65535'

  /** The address in full, with leading zeros, with its first run of zeros left out, and with an IPv4 end. */
  function spellings(address: readonly number[]): readonly string[] {
    const full = address.map((group) => group.toString(16))
    const padded = full.map((group) => group.padStart(4, '0'))
    const end = [address[6]! >> 8, address[6]! & 255, address[7]! >> 8, address[7]! & 255].join('.')
    const withEnd = [...full.slice(0, 6), end]
    return [full.join(':'), padded.join(':'), withEnd.join(':'), shortened(full), shortened(withEnd)]
  }

  function shortened(parts: readonly string[]): string {
    const from = parts.indexOf('0')
    if (from < 0) return parts.join(':')
    let to = from
    while (parts[to] === '0') to++
    return `${parts.slice(0, from).join(':')}::${parts.slice(to).join(':')}`
  }
})
