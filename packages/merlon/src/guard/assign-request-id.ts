import type { Instant } from '../call.ts'
import type { Guard } from './chain.ts'
import type { Arrival } from './gate.ts'

/** Gives the request an id of our own, for the audit record, the log and the answer to a failure, and notes when it came. */
export const assignRequestId: Guard<Arrival, { readonly requestId: string; readonly startedAt: Instant }> = ({
  gate,
}) => ({
  requestId: gate.nextRequestId(),
  startedAt: gate.clock(),
})
