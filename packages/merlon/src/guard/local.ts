import type { RequestId } from '../call.ts'
import { Fault } from '../errors.ts'
import { keyPrefix } from '../identity/key-format.ts'
import type { Session } from '../session/session-store.ts'
import type { Envelope } from '../wire/revision.ts'
import { claimedVersion, readBareEnvelope } from '../wire/revision-2026-07-28.ts'
import { withSession } from './bind-session.ts'
import { type Guard, proved } from './chain.ts'
import { revisionNamed, statefulEnvelope } from './decode.ts'
import type { Arrival, Authenticated, Decoded, Head } from './gate.ts'

/*
 * Guards of the pipe to the process that started this one. It has no headers and no address: what a request says of itself
 * is in the message, and who acts was said once, by the environment.
 */

/** The program at the other end. There is one, for as long as this process lives. */
export interface Host {
  /** The API key that the environment named. */
  readonly credential: string
  /** What every message shows beside itself. */
  readonly head: Head
  /** The session that `initialize` opened: one for the pipe (versioning, "Backward Compatibility"). */
  readonly sessionId: string | undefined
  /** Whether a request with this id waits for its answer. */
  isAnswering(id: RequestId): boolean
}

/** What the chain of the pipe begins with: one line. */
export interface LocalArrival extends Arrival {
  readonly host: Host
  readonly body: Buffer
}

/** A line has none. */
export const noHead: Head = Object.freeze({
  verb: '',
  url: '',
  path: '',
  headers: Object.freeze({}),
  rawHeaders: Object.freeze([]),
  peerAddress: '',
  readBody: () => Promise.reject(new Error('a line has no body beside it')),
})

/** A pipe has no address. This is none that a range could hold, so that a key bound to addresses is refused here. */
export const pipeAddress: Guard<LocalArrival, { readonly address: string }> = () => fromPipe
const fromPipe = Object.freeze({ address: 'stdio' })

/**
 * Asks of every call whether the key of the environment is still good: a key that was revoked since ends what this process
 * may do. Failures are not counted, since nobody can try another key here.
 */
export const authenticateLocal: Guard<
  LocalArrival & { readonly address: string; readonly requestId: string },
  Authenticated
> = (call) => {
  const { gate, host } = call
  // A token is for an address that it names, and there is none here.
  if (!host.credential.startsWith(keyPrefix)) throw new Fault('credential.invalid', { reason: 'malformed' })
  const verdict = gate.verify(host.credential, call, 'bearer')
  return verdict instanceof Promise ? verdict.then(admitted) : admitted(verdict)
}

function admitted(verdict: Awaited<ReturnType<Arrival['gate']['verify']>>): Authenticated {
  if (verdict.ok) return { principal: verdict.principal }
  const { reason, credential } = verdict
  throw new Fault('credential.invalid', { reason, credential })
}

/** Refuses an id that another request holds: on one pipe nobody could tell the two answers apart. */
export const checkId: Guard<LocalArrival & Decoded, object> = ({ host, message }) => {
  if (message.kind === 'request' && host.isAnswering(message.id)) throw new Fault('id.in-flight')
  return proved
}

/**
 * Settles the protocol revision of a line, once. A message that claims a version is held to that revision whole; the rest
 * belongs to the session. What needs no answer and belongs to none, such as a cancellation, has no revision to be held to.
 */
export const settleLocalRevision: Guard<LocalArrival & Decoded, { readonly envelope: Envelope }> = (call) => {
  const { gate, host, message } = call
  const claimed = message.kind === 'response' ? undefined : claimedVersion(message.params)
  const ofSession = message.kind === 'request' || host.sessionId !== undefined
  if (claimed !== undefined || gate.sessions === undefined || !ofSession)
    return { envelope: readBareEnvelope(message, gate.stateless) }
  return { envelope: statefulEnvelope(message, revisionNamed(gate.stateful, undefined, message), {}) }
}

const none: { readonly session: undefined } = Object.freeze({ session: undefined })

/** Finds the session of the pipe for what is of the stateful revisions. There is one: a second `initialize` is refused. */
export const bindLocalSession: Guard<
  LocalArrival & Authenticated & Decoded & { readonly envelope: Envelope },
  { readonly session: Session | undefined; readonly envelope?: Envelope }
> = (call) => {
  const { gate, host, message, envelope, principal } = call
  const { sessions } = gate
  if (!envelope.revision.stateful || sessions === undefined) return none
  const { sessionId } = host
  if (message.kind === 'request') {
    if (message.method === 'initialize') {
      if (sessionId !== undefined) throw new Fault('request.invalid', { reason: 'initialized' })
      return none
    }
    const method = gate.methods.stateful.get(message.method)
    if (sessionId === undefined && method?.needsSession === false) return none
  }
  if (sessionId === undefined) throw new Fault('session.unknown', { reason: 'session' })
  const settle = (session: Session | undefined) => {
    if (session === undefined) throw new Fault('session.unknown', { reason: 'session' })
    return { session, envelope: withSession(call, envelope, session) }
  }
  const found = sessions.find(sessionId, principal.binding, gate.clock())
  return found instanceof Promise ? found.then(settle) : settle(found)
}
