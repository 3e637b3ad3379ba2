import { Fault } from '../errors.ts'
import { type Guard, proved } from './chain.ts'
import type { Arrival } from './gate.ts'

/** Takes new work whatever the load: for what an operator looks at when other work is refused. */
export const anyLoad: Guard<Arrival, object> = () => proved

/** Refuses new work while the server is stopping or cannot keep up. Health is not behind this guard. */
export const checkLoad: Guard<Arrival, object> = ({ gate }) => {
  const why = gate.refusing()
  if (why !== undefined) throw new Fault(why, { retryAfterMs: 1_000 })
  return proved
}
