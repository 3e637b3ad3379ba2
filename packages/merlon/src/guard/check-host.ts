import { Fault } from '../errors.ts'
import { type Guard, proved } from './chain.ts'
import type { Arrival } from './gate.ts'

/**
 * Refuses a Host that is not on the list, exactly: the barrier to DNS rebinding. The header is compared as it is after
 * lower-casing, never through `new URL`, which maps `x@localhost`, `127.1` and `0x7f000001` to allowed names.
 */
export const checkHost: Guard<Arrival, object> = ({ head, gate }) => {
  const { host } = head.headers
  if (host !== undefined && gate.hosts?.has(host)) return proved
  if (host === undefined || !isHost(host)) throw new Fault('host.malformed')
  if (gate.hosts !== undefined && !gate.hosts.has(host.toLowerCase())) throw new Fault('host.refused')
  return proved
}

const hostPattern = /^(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?$/

/** The grammar of a host and optional port (RFC 3986 §3.2.2, registered names in their ASCII form). */
export function isHost(text: string): boolean {
  return text.length <= 255 && hostPattern.test(text)
}
