import type { Fault } from '../errors.ts'

/** The value of Retry-After (RFC 9110 §10.2.3): whole seconds, at least one. */
export function retryAfter({ detail }: Fault): number {
  return Math.max(1, Math.ceil((detail.retryAfterMs ?? 1_000) / 1_000))
}
