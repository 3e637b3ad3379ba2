import { Fault } from '../errors.ts'
import type { Scheme, Verdict } from '../identity/verdict.ts'
import { type Guard, proved } from './chain.ts'
import type { Authenticated, Decoded } from './gate.ts'
import { passed } from './limit-calls.ts'
import type { Host, LocalArrival } from './local.ts'

/*
 * Guards of a message over a socket. Where it came from and with what credential was said once, when the socket was opened;
 * all that can change since is asked for with every message, as it is for a POST.
 */

/** The program at the other end of a socket. */
export interface SocketHost extends Host {
  /** As it was settled when the socket was opened. */
  readonly address: string
  readonly scheme: Scheme
  /** Whom the socket was opened for. It serves nobody else. */
  readonly binding: string
  /** Whether it closes when what is under way has been answered. */
  readonly leaving: boolean
}

/** What the chain of a socket begins with: one message. */
export interface SocketArrival extends LocalArrival {
  readonly host: SocketHost
}

/** The address that the socket was opened from. */
export const socketAddress: Guard<SocketArrival, { readonly address: string }> = ({ host: { address } }) => ({
  address,
})

/** Asks of every message whether the credential is still good, and whose it is. */
export const authenticateSocket: Guard<
  SocketArrival & { readonly address: string; readonly requestId: string },
  Authenticated
> = (call) => {
  const { gate, host } = call
  const verdict = gate.verify(host.credential, call, host.scheme)
  return verdict instanceof Promise ? verdict.then((later) => admit(host, later)) : admit(host, verdict)
}

function admit(host: SocketHost, verdict: Verdict): Authenticated {
  if (!verdict.ok) throw new Fault('credential.invalid', { reason: verdict.reason, credential: verdict.credential })
  const { principal } = verdict
  if (principal.binding !== host.binding)
    throw new Fault('credential.invalid', { reason: 'other-principal', credential: principal.credential })
  return { principal }
}

/** Refuses a new request where the socket is about to close. What is said of those under way is still heard. */
export const checkLeaving: Guard<SocketArrival & Decoded, object> = ({ host, message }) => {
  if (host.leaving && message.kind === 'request') throw new Fault('server.draining', { retryAfterMs: 1_000 })
  return proved
}

/** Takes what is counted of every message over sockets, whatever is in it: also of one that cannot be read. */
export const limitMessages: Guard<SocketArrival & Authenticated, object> = ({ gate, principal }) => {
  const answer = gate.limiter.takeMessage(principal, gate.steadyClock())
  if (answer === undefined) return proved
  return answer instanceof Promise ? answer.then(counted) : counted(answer)
}

function counted(answer: Parameters<typeof passed>[0]): object {
  passed(answer)
  return proved
}
