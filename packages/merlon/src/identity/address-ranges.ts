import { BlockList, isIP } from 'node:net'

const rangesMax = 64

/** Address ranges, each as `10.0.0.0/8`, a single address with its length written out; or `undefined` for what are none. */
export function canonicalRanges(asked: readonly string[]): readonly string[] | undefined {
  const ranges = new Set<string>()
  for (const text of asked) {
    const [address = '', bits, more] = text.split('/')
    const family = isIP(address)
    const most = family === 4 ? 32 : 128
    if (family === 0 || address.includes('%') || more !== undefined) return undefined
    if (bits !== undefined && (!/^[0-9]{1,3}$/.test(bits) || Number(bits) > most)) return undefined
    ranges.add(`${address.toLowerCase()}/${Number(bits ?? most)}`)
  }
  return ranges.size > rangesMax ? undefined : [...ranges].sort()
}

/** Whether an address is allowed: absent ranges allow every one, an empty list none, and ranges none that is not known (AK-13). */
export type AddressRule = (address: string | undefined) => boolean

export function addressRule(ranges: readonly string[] | undefined): AddressRule | undefined {
  if (ranges === undefined) return undefined
  const list = new BlockList()
  for (const range of ranges) {
    const [address = '', bits] = range.split('/')
    list.addSubnet(address, Number(bits), isIP(address) === 4 ? 'ipv4' : 'ipv6')
  }
  return (address) => {
    const family = address === undefined ? 0 : isIP(address)
    return family !== 0 && list.check(address!, family === 4 ? 'ipv4' : 'ipv6')
  }
}
