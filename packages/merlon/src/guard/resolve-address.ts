import type { Guard } from './chain.ts'
import type { Arrival } from './gate.ts'

/** Settles whose address this is. Forwarding headers count only from a trusted proxy; host and scheme are never taken from them. */
export const resolveAddress: Guard<Arrival, { readonly address: string }> = ({ head, gate }) => {
  const forwarded = head.headers['x-forwarded-for']
  return {
    address: gate.proxies.clientAddress(head.peerAddress, typeof forwarded === 'string' ? forwarded : undefined),
  }
}
