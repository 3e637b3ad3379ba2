import type { Instant, Message, Principal } from '../call.ts'
import type { Reserved } from '../limit/limiter.ts'
import type { Target } from '../method.ts'
import type { Session } from '../session/session-store.ts'
import type { Envelope } from '../wire/revision.ts'

export type Request = Extract<Message, { kind: 'request' }>

/** A message that passed every guard. */
export interface Admitted {
  readonly requestId: string
  readonly startedAt: Instant
  readonly address: string
  readonly principal: Principal
  readonly message: Message
  readonly envelope: Envelope
  readonly session: Session | undefined
  readonly target: Target | undefined
  readonly input: unknown
  /** What is given back to limits when it is known how it ended. */
  readonly reserved?: Reserved | undefined
  /** What it ended with, where that was no result: for whoever logs the answer. */
  fault?: unknown
}

/** A request that passed every guard. */
export interface Ready extends Admitted {
  readonly message: Request
}
