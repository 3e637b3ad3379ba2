import { Fault } from '../errors.ts'
import { type Guard, proved } from './chain.ts'
import type { Arrival, Authenticated } from './gate.ts'

/** Takes one call from the principal's bucket. */
export const limitPrincipal: Guard<Arrival & Authenticated, object> = ({ gate, principal }) => {
  const { calls } = gate
  if (calls === undefined) return proved
  const retryAfterMs = calls.take(principal.binding, gate.steadyClock())
  if (retryAfterMs > 0) {
    throw new Fault('rate.exceeded', { retryAfterMs, reason: 'principal', limit: { name: 'calls', ...calls.rate } })
  }
  return proved
}
