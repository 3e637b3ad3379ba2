import type { Awaitable } from '../call.ts'
import { Fault } from '../errors.ts'
import type { Tickets } from '../identity/tickets.ts'
import type { Scheme } from '../identity/verdict.ts'
import { admit, authenticate, shownCredential } from './authenticate.ts'
import { type Guard, proved } from './chain.ts'
import type { Arrival, Authenticated, Head } from './gate.ts'

/*
 * Guards of the request that opens a socket (RFC 6455 §4.2.1), all of them before it is answered with 101.
 */

/** The one subprotocol that is spoken, and never an echo of what a client names beside it. */
export const socketProtocol = 'mcp'
/** A page names its ticket in an entry beside it: a browser sets no header there but this one. */
const ticketEntry = 'mcp.ticket.'

/** A credential as a socket goes on with it. */
export interface Opened {
  readonly credential: string
  /** A proof of possession is for one request, and this one had it. */
  readonly scheme: Scheme
}

/** A token (RFC 9110 §5.6.2). */
const tokenPattern = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/
const keyPattern = /^[+/0-9A-Za-z]{22}==$/

/**
 * Refuses what does not open a socket of ours: another protocol, a method but GET, a body, another version than 13, or a
 * client that does not speak `mcp`.
 */
export const checkHandshake: Guard<Arrival, object> = ({ head: { verb, headers } }) => {
  if (headers.upgrade?.toLowerCase() !== 'websocket') throw new Fault('target.refused', { reason: 'upgrade' })
  if (verb !== 'GET') throw new Fault('verb.refused', { allow: 'GET' })
  if (headers['content-length'] !== undefined || headers['transfer-encoding'] !== undefined)
    throw new Fault('handshake.refused', { reason: 'body' })
  if (headers['sec-websocket-version'] !== '13') throw new Fault('handshake.refused', { reason: 'version' })
  const key = headers['sec-websocket-key']
  if (key === undefined || !keyPattern.test(key)) throw new Fault('handshake.refused', { reason: 'key' })
  const protocols = offered({ headers })
  const wellFormed = protocols.every((each) => tokenPattern.test(each)) && new Set(protocols).size === protocols.length
  if (!wellFormed || !protocols.includes(socketProtocol)) throw new Fault('handshake.refused', { reason: 'protocol' })
  return proved
}

/** Refuses a browser that hides which page asks: for a socket every browser says it. */
export const checkPage: Guard<Arrival & { readonly origin: string | undefined }, object> = ({ head, gate, origin }) => {
  const fromPage = head.headers['sec-fetch-site'] !== undefined
  if (fromPage && origin === undefined && gate.origins !== undefined)
    throw new Fault('origin.refused', { reason: 'sec-fetch-site' })
  return proved
}

type Needs = Arrival & { readonly address: string; readonly requestId: string; readonly origin: string | undefined }

/**
 * Establishes who opens the socket: by a credential in a header, or by a ticket that was given for one. Two of them are
 * refused, and a ticket that is not good looks like any other bad credential.
 */
export function authenticateHandshake(tickets: Tickets): Guard<Needs, Authenticated & { readonly opened: Opened }> {
  return (call) => {
    const ticket = ticketIn(call.head)
    if (ticket === undefined) {
      const opened = openedWith(call)
      return keep(authenticate(call), opened)
    }
    const { headers } = call.head
    if (headers.authorization !== undefined || headers['x-api-key'] !== undefined) throw new Fault('credential.doubled')
    const taken = tickets.take(ticket, headers.origin, call.gate.clock())
    if (taken === undefined) return refused(call, 'ticket')
    const { credential, scheme, binding } = taken
    const verdict = call.gate.verify(credential, call, scheme)
    const settle = (later: Awaited<typeof verdict>) =>
      later.ok && later.principal.binding !== binding
        ? refused(call, 'other-principal')
        : keep(admit(call, later), { credential, scheme })
    return verdict instanceof Promise ? verdict.then(settle) : settle(verdict)
  }
}

/** The credential that was shown and found good, as a ticket or a socket goes on with it. */
export function openedWith(call: Arrival): Opened {
  const { credential = '', scheme } = shownCredential(call.head.headers)
  return { credential, scheme: scheme === 'dpop' ? 'proven' : scheme }
}

function keep<Proof extends object>(
  proof: Awaitable<Proof>,
  opened: Opened,
): Awaitable<Proof & { readonly opened: Opened }> {
  return proof instanceof Promise ? proof.then((later) => ({ ...later, opened })) : { ...proof, opened }
}

function refused(call: Needs, reason: string): Awaitable<never> {
  return admit(call, { ok: false, reason, credential: undefined }) as Awaitable<never>
}

function offered({ headers }: Pick<Head, 'headers'>): readonly string[] {
  return (headers['sec-websocket-protocol'] ?? '').split(',').map((entry) => entry.trim())
}

/** The ticket that stands in the offer; two are as bad as a wrong one. */
function ticketIn(head: Head): string | undefined {
  const named = offered(head).filter((entry) => entry.startsWith(ticketEntry))
  return named.length > 1 ? '' : named[0]?.slice(ticketEntry.length)
}
