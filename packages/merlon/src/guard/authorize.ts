import type { Message, Params } from '../call.ts'
import { Fault } from '../errors.ts'
import type { Method, Target } from '../method.ts'
import { decide, type Requirement } from '../policy/decide.ts'
import type { Envelope } from '../wire/revision.ts'
import { type Guard, proved } from './chain.ts'
import type { Arrival, Authenticated, Decoded } from './gate.ts'

/** A call that was found and allowed. Notifications and responses are for nothing that could be refused. */
export interface Authorized {
  readonly method: Method | undefined
  readonly target: Target | undefined
}

const nothingToDecide: Authorized = Object.freeze({ method: undefined, target: undefined })

/**
 * Finds what the call is about and asks the one decision point. What the role can never reach is answered exactly like
 * what does not exist; what only the credential lacks is a 403 that names the scope (RFC 6750 §3.1).
 */
export const authorize: Guard<Arrival & Authenticated & Decoded & { readonly envelope: Envelope }, Authorized> = (
  call,
) => {
  const { message, principal } = call
  if (message.kind !== 'request') {
    refuseUnless(call, 'authenticated')
    return nothingToDecide
  }
  const method = methodsOf(call).get(message.method)
  if (method === undefined) throw new Fault('method.unknown')
  refuseUnless(call, 'authenticated')
  const target = method.target(message.params)
  if (target === undefined) throw method.unknown(message.params)
  const decision = decide(principal, target.requirement)
  if (!decision.allowed)
    throw decision.hidden ? unseen(method.unknown(message.params), target.name) : lacking(decision.scope, target.name)
  return { method, target }
}

/** The same for GET and DELETE of a session, which concern nothing but the session. */
export const authorizeSession: Guard<Authenticated, object> = (call) => {
  refuseUnless(call, 'authenticated')
  return proved
}

function methodsOf({ gate, envelope }: Arrival & { envelope: Envelope }): ReadonlyMap<string, Method> {
  return envelope.revision.stateful ? gate.methods.stateful : gate.methods.stateless
}

function refuseUnless({ principal }: Authenticated, requirement: Requirement): void {
  const decision = decide(principal, requirement)
  if (!decision.allowed) throw lacking(decision.hidden ? undefined : decision.scope)
}

/** The answer is that for what does not exist; the record says what was reached for. */
function unseen(unknown: Fault, target: string | undefined): Fault {
  return new Fault(unknown.code, { ...unknown.detail, reason: 'hidden', target })
}

function lacking(scope: string | undefined, target?: string): Fault {
  if (scope === undefined) return new Fault('scope.missing', { target })
  return new Fault('scope.missing', { says: `Required scope: ${scope}`, scope, data: { scope }, target })
}

/** What a guard after `authorize` may take for granted of a request. */
export function paramsOf(message: Message): Params {
  return message.kind === 'response' ? {} : message.params
}
