import { BlockList, isIP } from 'node:net'

const rangePattern = /^([0-9a-fA-F:.]+)\/([0-9]{1,3})$/

/** The address ranges of the proxies in front, whose X-Forwarded-For is believed. */
export class ProxyRanges {
  private readonly list = new BlockList()
  private readonly empty: boolean

  /** Throws a RangeError naming a range that is none. */
  constructor(ranges: readonly string[]) {
    this.empty = ranges.length === 0
    for (const range of ranges) {
      const [, address = '', bits = ''] = rangePattern.exec(range) ?? []
      const family = isIP(address)
      if (family === 0 || Number(bits) > (family === 4 ? 32 : 128))
        throw new RangeError(`not an address range: ${range}`)
      this.list.addSubnet(address, Number(bits), family === 4 ? 'ipv4' : 'ipv6')
    }
  }

  /**
   * The client's address: the peer's, or behind a trusted proxy the right-most address of X-Forwarded-For that is not a
   * trusted proxy itself. A list that does not parse leaves the last address that was believed.
   */
  clientAddress(peer: string, forwarded: string | undefined): string {
    const direct = plain(peer)
    if (this.empty || forwarded === undefined || !this.trusts(direct)) return direct
    let believed = direct
    for (const hop of forwarded.split(',').reverse()) {
      const address = plain(hop.trim())
      if (isIP(address) === 0) return believed
      believed = address
      if (!this.trusts(address)) return address
    }
    return believed
  }

  private trusts(address: string): boolean {
    const family = isIP(address)
    return family !== 0 && this.list.check(address, family === 4 ? 'ipv4' : 'ipv6')
  }
}

/** An IPv4 address that came mapped into IPv6 is written as IPv4. */
function plain(address: string): string {
  return /^::ffff:/i.test(address) && isIP(address.slice(7)) === 4 ? address.slice(7) : address
}

/** The bucket of an address: an IPv6 client owns a /64, and is counted by it. */
export function addressBucket(address: string): string {
  if (!address.includes(':')) return address
  const [head = '', tail] = address.split('%')[0]!.split('::')
  const groups = head === '' ? [] : head.split(':')
  if (tail !== undefined) {
    // An IPv4 address at the end stands for two groups.
    const rest = tail === '' ? 0 : tail.split(':').length + (tail.includes('.') ? 1 : 0)
    for (let missing = 8 - groups.length - rest; missing > 0; missing--) groups.push('0')
    if (tail !== '') groups.push(...tail.split(':'))
  }
  const values = groups.map((group) => Number.parseInt(group, 16))
  // IPv4 mapped into IPv6 (RFC 4291 §2.5.5.2), as a socket that takes both tells it: not all of it is one network.
  if (values[5] === 0xffff && values.slice(0, 5).every((value) => value === 0)) {
    const [high = 0, low = 0] = values.slice(6)
    return groups[6]?.includes('.') ? groups[6] : [high >> 8, high & 255, low >> 8, low & 255].join('.')
  }
  return values
    .slice(0, 4)
    .map((value) => value.toString(16))
    .join(':')
}
