import type { Principal } from '../call.ts'
import type { Tickets } from '../identity/tickets.ts'
import { assignRequestId } from './assign-request-id.ts'
import { authenticate } from './authenticate.ts'
import { authorize, authorizeSession } from './authorize.ts'
import { bindNamedSession, bindSession } from './bind-session.ts'
import { chain } from './chain.ts'
import { checkArguments, checkParamHeaders } from './check-arguments.ts'
import { checkHead, checkSocketHead } from './check-head.ts'
import { checkHost } from './check-host.ts'
import { anyLoad, checkLoad } from './check-load.ts'
import { checkMedia, checkStreamAccept } from './check-media.ts'
import { checkOrigin } from './check-origin.ts'
import { confirmCredential } from './confirm-credential.ts'
import { actAs, checkSite, decodeJson, localAddress, permit, readJson } from './control.ts'
import { decode, readBody, settleRevision } from './decode.ts'
import type { Arrival } from './gate.ts'
import { authenticateHandshake, checkHandshake, checkPage } from './handshake.ts'
import { limitAddress } from './limit-address.ts'
import { limitCall, peekLimits, takeLimits } from './limit-calls.ts'
import {
  authenticateLocal,
  bindLocalSession,
  checkId,
  type LocalArrival,
  pipeAddress,
  settleLocalRevision,
} from './local.ts'
import { resolveAddress } from './resolve-address.ts'
import { authenticateSocket, checkLeaving, limitMessages, type SocketArrival, socketAddress } from './socket.ts'

/*
 * The security story, in order. Each guard names what must be proved before it and what it proves; one in the wrong place
 * does not compile.
 *
 * A cheap refusal comes before a costly one. Nothing of the body is read before we know who sent it and that they may
 * have calls left. The revision is settled once. What the call costs is taken in one act when it is known what it asks for
 * and that it may; a call that is refused between is counted where it is refused. The arguments are looked at last: only
 * then is that worth the work.
 */

/** The outer door, on every path: what is refused here has not been asked who it is. */
export const edge = chain<Arrival>()
  .and(assignRequestId)
  .and(resolveAddress)
  .and(checkHead)
  .and(checkHost)
  .and(checkOrigin)

/** Behind the outer door with a credential. */
export const known = edge.and(checkLoad).and(limitAddress).and(authenticate)

/** POST to the MCP endpoint: one message of any revision. */
export const mcp = known
  .and(peekLimits('mcp'))
  .and(checkMedia)
  .and(readBody)
  .and(confirmCredential)
  .and(decode)
  .and(settleRevision)
  .and(bindSession)
  .and(authorize)
  .and(takeLimits)
  .and(checkParamHeaders)
  .and(checkArguments)

/** GET on the MCP endpoint: a session's own stream, or the resumption of one. */
export const mcpStream = known.and(limitCall('mcp')).and(checkStreamAccept).and(bindNamedSession).and(authorizeSession)

/** DELETE on the MCP endpoint: the end of a session. */
export const mcpEnd = known.and(limitCall('mcp')).and(bindNamedSession).and(authorizeSession)

/** The control plane: the same outer door, then a credential of its own kind, and whether it may do what the route is for. */
const controlKnown = (load: typeof checkLoad) =>
  edge.and(checkSite).and(load).and(limitAddress).and(authenticate).and(limitCall('control', 'admin'))
/** `always`: also while other work is refused, for what then tells an operator why. */
export const control = (check: (principal: Principal) => void, bodyBytesMax: number, always: boolean) =>
  controlKnown(always ? anyLoad : checkLoad)
    .and(permit(check))
    .and(readJson(bodyBytesMax))
    .and(confirmCredential)
    .and(decodeJson)

/** Signing in: whoever asks has no credential yet. And with `always`, the sign of life. */
export const controlOpen = (bodyBytesMax: number, always: boolean) =>
  (always ? edge.and(checkSite) : edge.and(checkSite).and(checkLoad).and(limitAddress))
    .and(readJson(bodyBytesMax))
    .and(decodeJson)

/** The socket of the data folder: whoever can open it is who owns the folder. Pages and other hosts are refused all the same. */
export const localEdge = chain<Arrival>()
  .and(assignRequestId)
  .and(localAddress)
  .and(checkHead)
  .and(checkHost)
  .and(checkOrigin)
  .and(checkSite)
export const controlLocal = (operator: Principal, bodyBytesMax: number, always: boolean) =>
  localEdge
    .and(always ? anyLoad : checkLoad)
    .and(actAs(operator))
    .and(readJson(bodyBytesMax))
    .and(decodeJson)

/*
 * The pipe to the process that started this one. A line is decoded first: an answer without the id of its request would
 * reach nobody, and who sends it was settled when the pipe was opened. From there on it is the same tail.
 */
const line = chain<LocalArrival>().and(assignRequestId).and(pipeAddress)
/** Whether the key of the environment opens the pipe at all. */
export const stdioKnown = line.and(checkLoad).and(authenticateLocal)
export const stdio = line
  .and(decode)
  .and(checkId)
  .and(checkLoad)
  .and(limitAddress)
  .and(authenticateLocal)
  .and(peekLimits('mcp'))
  .and(settleLocalRevision)
  .and(bindLocalSession)
  .and(authorize)
  .and(takeLimits)
  .and(checkArguments)

/** What asks for a socket: the outer door, and that a page says which it is. */
export const socketEdge = chain<Arrival>()
  .and(assignRequestId)
  .and(resolveAddress)
  .and(checkSocketHead)
  .and(checkHost)
  .and(checkOrigin)
  .and(checkPage)
/** All that is proved before a socket is opened. It counts as one call. */
export const socketOpen = (tickets: Tickets) =>
  socketEdge
    .and(checkHandshake)
    .and(checkLoad)
    .and(limitAddress)
    .and(authenticateHandshake(tickets))
    .and(limitCall('mcp'))
/** A message over a socket: what it was opened with is asked about again, and the rest is as it is for a POST. */
export const socketMessage = chain<SocketArrival>()
  .and(assignRequestId)
  .and(socketAddress)
  .and(checkLoad)
  .and(limitAddress)
  .and(authenticateSocket)
  .and(limitMessages)
  .and(peekLimits('mcp'))
  .and(decode)
  .and(checkLeaving)
  .and(checkId)
  .and(settleLocalRevision)
  .and(bindLocalSession)
  .and(authorize)
  .and(takeLimits)
  .and(checkArguments)
/** What asks for a ticket to open one with. */
export const socketTicket = known.and(limitCall('mcp'))

/** Health, readiness and metadata: open by their chain, never by their path. */
export const open = edge
