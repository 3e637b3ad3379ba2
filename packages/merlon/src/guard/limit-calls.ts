import type { Awaitable, Principal } from '../call.ts'
import { Fault } from '../errors.ts'
import type { Refused, Taken } from '../limit/limit-store.ts'
import type { Plan, Reserved } from '../limit/limiter.ts'
import type { Endpoint } from '../limit/rules.ts'
import type { Session } from '../session/session-store.ts'
import type { Authorized } from './authorize.ts'
import type { Guard } from './chain.ts'
import type { Arrival, Authenticated, Decoded, Gate } from './gate.ts'
import { addressBucket } from './proxy-ranges.ts'

/** Where the call came in, and that its principal is not known to have nothing left. */
export interface Peeked {
  readonly endpoint: Endpoint
}

/** What was taken for a call, and what is left of the limit that may be told. */
export type Rate = Taken

/** All that the call costs is taken. */
export interface Charged {
  readonly rate: Rate
  /** What is given back when it is known how the call ended. */
  readonly reserved: Reserved | undefined
}

type Known = Arrival & Authenticated & { readonly address: string }

/**
 * Refuses a principal that surely has nothing left, before its body is read. It takes nothing: `takeLimits` does, when it
 * is known what the call asks for.
 */
export function peekLimits(endpoint: Endpoint): Guard<Known, Peeked> {
  const peeked: Peeked = Object.freeze({ endpoint })
  return ({ gate, principal }) => {
    const refused = gate.limiter.peek(principal, endpoint, gate.steadyClock())
    if (refused !== undefined) throw exceeded(refused)
    return peeked
  }
}

/** Takes what the call costs by every rule, in one act, or refuses it. */
export const takeLimits: Guard<
  Known & Decoded & Authorized & Peeked & { readonly session: Session | undefined },
  Charged
> = (call) => {
  const { gate, principal, endpoint, message, method, target } = call
  const requirement = target?.requirement
  const plan = gate.limiter.plan(
    principal,
    endpoint,
    message.kind === 'response' ? 'response' : message.method,
    requirement === undefined || requirement === 'authenticated' ? undefined : requirement.scope,
    method?.audit === 'tool_access' ? target?.name : undefined,
    target?.cost ?? 1,
  )
  return take(call, plan, call.session?.id)
}

/**
 * The same where there is no message to wait for: a verb of HTTP alone, or an operation. `scope` is what it asks for;
 * without one it counts as `read`.
 */
export function limitCall(endpoint: Endpoint, scope?: string): Guard<Known, Charged & Peeked> {
  return (call) => {
    const plan = call.gate.limiter.plan(call.principal, endpoint, call.head.verb, scope, undefined, 1)
    const charged = take(call, plan, undefined)
    return charged instanceof Promise ? charged.then((later) => ({ ...later, endpoint })) : { ...charged, endpoint }
  }
}

/**
 * The refusal of a call, when it has been counted: whatever a known principal sends counts once, admitted or not. Where
 * nothing is left for it, that is the answer. Never rejects.
 */
export function chargeRefused(call: Refusable, fault: Fault): Awaitable<Fault> {
  const { gate, principal, endpoint } = call as Partial<Known & Peeked>
  if (gate === undefined || principal === undefined || endpoint === undefined) return fault
  if (call.rate !== undefined) {
    settle(gate, call.reserved as Reserved | undefined, fault)
    return fault
  }
  if (fault.code === 'rate.exceeded') return fault
  const counted = (answer: Taken | Refused): Fault => {
    if (!answer.ok) return exceeded(answer)
    call.rate = answer
    return fault
  }
  try {
    const answer = gate.limiter.takeRefused(principal as Principal, endpoint, gate.steadyClock())
    return answer instanceof Promise ? answer.then(counted, () => fault) : counted(answer)
  } catch {
    // Refused it is, whether or not it could be counted.
    return fault
  }
}

/** A call on its way, of which guards may have proved some things. */
export interface Refusable extends Arrival {
  principal?: unknown
  endpoint?: unknown
  rate?: Rate | undefined
  reserved?: unknown
}

/**
 * Gives back what was taken by limits that count calls which end well, or badly, where this one ended the other way. One
 * that the client gave up counts as both: to leave just before the end is no way around a limit.
 */
export function settle(
  { limiter, steadyClock }: Pick<Gate, 'limiter' | 'steadyClock'>,
  reserved: Reserved | undefined,
  fault: Fault | undefined,
): void {
  if (reserved === undefined || fault?.code === 'call.cancelled') return
  const takes = fault === undefined ? reserved.afterSuccess : reserved.afterFailure
  if (takes.length === 0) return
  try {
    const given = limiter.store.giveBack(takes, steadyClock())
    // What cannot be given back is missing until the bucket refills: stricter, and never an error of the call.
    if (given instanceof Promise) given.catch(() => undefined)
  } catch {}
}

/** What was taken, or the refusal. */
export function passed(answer: Taken | Refused): Taken {
  if (!answer.ok) throw exceeded(answer)
  return answer
}

function take(call: Known, plan: Plan, session: string | undefined): Awaitable<Charged> {
  const { gate } = call
  const open = plan.open.length > 0
  const address = open ? addressBucket(call.address) : ''
  const answer = gate.limiter.take(plan, session, address, gate.steadyClock())
  const reserved = open ? gate.limiter.reserved(plan, session, address) : plan.reserved
  return answer instanceof Promise
    ? answer.then((later) => ({ rate: passed(later), reserved }))
    : { rate: passed(answer), reserved }
}

function exceeded({ limit, retryAfterMs, remaining }: Refused): Fault {
  return new Fault('rate.exceeded', { retryAfterMs, reason: limit.name, ...(limit.told ? { limit, remaining } : {}) })
}
