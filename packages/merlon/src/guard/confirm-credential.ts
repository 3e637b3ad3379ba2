import type { Instant, Principal } from '../call.ts'
import { authenticate } from './authenticate.ts'
import { type Guard, proved } from './chain.ts'
import type { Arrival, Authenticated } from './gate.ts'

type Needs = Arrival &
  Authenticated & {
    readonly address: string
    readonly requestId: string
    readonly startedAt: Instant
    readonly body: Buffer
  }

/** A revoked key is refused on new calls within this; a call that is older when its body is there is asked again. */
const vouchedMs = 1_000

/**
 * Asks again who is calling where the body took its time: the credential may have been revoked, or have ended, while a
 * body came byte by byte, and what is decided after it would otherwise rest on what was true up to half a minute ago.
 */
export const confirmCredential: Guard<Needs, { readonly principal?: Principal }> = (call) =>
  call.gate.clock() - call.startedAt < vouchedMs ? proved : authenticate(call)
