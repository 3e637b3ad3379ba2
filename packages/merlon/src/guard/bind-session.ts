import type { Principal } from '../call.ts'
import { Fault } from '../errors.ts'
import type { Session } from '../session/session-store.ts'
import type { Envelope } from '../wire/revision.ts'
import { statelessVersion } from '../wire/revision-2026-07-28.ts'
import type { Guard } from './chain.ts'
import type { Arrival, Authenticated, Decoded } from './gate.ts'

const none: { readonly session: undefined } = Object.freeze({ session: undefined })

/**
 * Finds the session of a call of the stateful revisions. It must be alive and opened by this principal; otherwise the
 * answer is the same as for one that never was. `initialize` opens one and takes none from the client; the stateless
 * revision has none, whatever a header says.
 */
export const bindSession: Guard<
  Arrival & Authenticated & Decoded & { readonly envelope: Envelope },
  { readonly session: Session | undefined; readonly envelope?: Envelope }
> = (call) => {
  const { gate, message, envelope } = call
  if (!envelope.revision.stateful || (message.kind === 'request' && message.method === 'initialize')) return none
  if (call.head.headers[gate.sessionHeader] === undefined && message.kind !== 'response') {
    // Before a session only what needs none: a ping. A method that does not exist is not told apart from one that needs one.
    const method = message.kind === 'request' ? gate.methods.stateful.get(message.method) : undefined
    if (message.kind === 'request' && method !== undefined && !method.needsSession) return none
  }
  const found = findSession(call)
  const settle = (session: Session) => ({ session, envelope: withSession(call, envelope, session) })
  return found instanceof Promise ? found.then(settle) : settle(found)
}

/** The same for GET and DELETE, which carry no message. */
export const bindNamedSession: Guard<Arrival & Authenticated, { readonly session: Session }> = (call) => {
  // The stateless revision has neither GET nor DELETE, and a session header does not change that.
  if (call.head.headers['mcp-protocol-version'] === statelessVersion)
    throw new Fault('verb.refused', { allow: 'POST, OPTIONS' })
  const found = findSession(call)
  const settle = (session: Session) => {
    pinned(call, session)
    return { session }
  }
  return found instanceof Promise ? found.then(settle) : settle(found)
}

function findSession({ head, gate, principal }: Arrival & { principal: Principal }): Session | Promise<Session> {
  if (gate.sessions === undefined) throw new Fault('verb.refused', { allow: 'POST, OPTIONS' })
  const id = head.headers[gate.sessionHeader]
  if (id === undefined) throw new Fault('session.missing')
  if (typeof id !== 'string' || id.length > 128) throw unknown()
  const found = gate.sessions.find(id, principal.binding, gate.clock())
  return found instanceof Promise ? found.then(known) : known(found)
}

function known(session: Session | undefined): Session {
  if (session === undefined) throw unknown()
  return session
}

function unknown(): Fault {
  return new Fault('session.unknown', { reason: 'session' })
}

function pinned({ head }: Arrival, session: Session): void {
  const named = head.headers['mcp-protocol-version']
  if (named !== undefined && named !== session.version) throw new Fault('session.revision')
}

export function withSession(call: Arrival, envelope: Envelope, session: Session): Envelope {
  pinned(call, session)
  const revision = call.gate.stateful.get(session.version) ?? envelope.revision
  const { progressToken, trace } = envelope
  return { revision, client: session.client, progressToken, logLevel: session.logLevel, trace }
}
