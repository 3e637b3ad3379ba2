import { assignRequestId } from './assign-request-id.ts'
import { authenticate } from './authenticate.ts'
import { authorize, authorizeSession } from './authorize.ts'
import { bindNamedSession, bindSession } from './bind-session.ts'
import { chain } from './chain.ts'
import { checkArguments, checkParamHeaders } from './check-arguments.ts'
import { checkHead } from './check-head.ts'
import { checkHost } from './check-host.ts'
import { checkLoad } from './check-load.ts'
import { checkMedia, checkStreamAccept } from './check-media.ts'
import { checkOrigin } from './check-origin.ts'
import { confirmCredential } from './confirm-credential.ts'
import { decode, readBody, settleRevision } from './decode.ts'
import type { Arrival } from './gate.ts'
import { limitPrincipal } from './limit-principal.ts'
import { resolveAddress } from './resolve-address.ts'

/*
 * The security story, in order. Each guard names what must be proved before it and what it proves; one in the wrong place
 * does not compile.
 *
 * A cheap refusal comes before a costly one. Nothing of the body is read before we know who sent it and that they may
 * call now, so that what turns out to be malformed or a guess has been counted. The revision is settled once. The
 * decision comes before the arguments are looked at: only then is that worth the work.
 */

/** The outer door, on every path: what is refused here has not been asked who it is. */
export const edge = chain<Arrival>()
  .and(assignRequestId)
  .and(resolveAddress)
  .and(checkHead)
  .and(checkHost)
  .and(checkOrigin)

/** Behind the outer door with a credential. */
export const known = edge.and(checkLoad).and(authenticate)

/** POST to the MCP endpoint: one message of any revision. */
export const mcp = known
  .and(limitPrincipal)
  .and(checkMedia)
  .and(readBody)
  .and(confirmCredential)
  .and(decode)
  .and(settleRevision)
  .and(bindSession)
  .and(authorize)
  .and(checkParamHeaders)
  .and(checkArguments)

/** GET on the MCP endpoint: a session's own stream, or the resumption of one. */
export const mcpStream = known.and(limitPrincipal).and(checkStreamAccept).and(bindNamedSession).and(authorizeSession)

/** DELETE on the MCP endpoint: the end of a session. */
export const mcpEnd = known.and(limitPrincipal).and(bindNamedSession).and(authorizeSession)

/** Health, readiness and metadata: open by their chain, never by their path. */
export const open = edge
