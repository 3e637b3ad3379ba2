import { assignRequestId } from './assign-request-id.ts'
import { authenticate } from './authenticate.ts'
import { authorize, authorizeSession } from './authorize.ts'
import { bindNamedSession, bindSession } from './bind-session.ts'
import { chain } from './chain.ts'
import { checkArguments, checkParamHeaders } from './check-arguments.ts'
import { checkHead } from './check-head.ts'
import { checkHost } from './check-host.ts'
import { checkMedia } from './check-media.ts'
import { decodeJson, permit, readJson } from './control.ts'
import { decode, readBody, settleRevision } from './decode.ts'
import type { Arrival } from './gate.ts'
import { limitAddress } from './limit-address.ts'
import { limitCall, peekLimits, takeLimits } from './limit-calls.ts'
import { authenticateLocal, bindLocalSession, type LocalArrival, pipeAddress, settleLocalRevision } from './local.ts'
import { edge, known, mcp } from './pipeline.ts'
import { resolveAddress } from './resolve-address.ts'

/* The compiler reads this file: where a wrong order compiles, `@ts-expect-error` is an error itself. */

// The right order compiles, one guard after the other.
const peeked = known.and(peekLimits('mcp'))
const decoded = peeked.and(checkMedia).and(readBody).and(decode).and(settleRevision)
decoded.and(bindSession).and(authorize).and(takeLimits).and(checkParamHeaders).and(checkArguments)
known.and(limitCall('mcp')).and(bindNamedSession).and(authorizeSession)
chain<Arrival>().and(checkHead).and(checkHost).and(assignRequestId).and(resolveAddress).and(authenticate)
export const principalIsProved: (call: Parameters<typeof mcp.run>[0]) => unknown = mcp.run

// Who calls is asked where the address and the request id are settled.
// @ts-expect-error
chain<Arrival>().and(authenticate)
// @ts-expect-error
chain<Arrival>().and(assignRequestId).and(authenticate)
// @ts-expect-error
chain<Arrival>().and(resolveAddress).and(authenticate)

// Nothing is decided before it is known who calls and what is asked.
// @ts-expect-error
edge.and(authorize)
// @ts-expect-error
known.and(authorize)
// @ts-expect-error
edge.and(authorizeSession)
// @ts-expect-error
edge.and(readBody).and(decode).and(settleRevision).and(authorize)
// @ts-expect-error
known.and(readBody).and(decode).and(authorize)

// A bucket is a principal's, and a session too; what a call costs is known when it is decided.
// @ts-expect-error
chain<Arrival>().and(limitAddress)
// @ts-expect-error
edge.and(peekLimits('mcp'))
// @ts-expect-error
edge.and(limitCall('mcp'))
// @ts-expect-error
decoded.and(bindSession).and(takeLimits)
// @ts-expect-error
decoded.and(authorize).and(takeLimits)
// @ts-expect-error
known.and(readBody).and(decode).and(settleRevision).and(bindSession).and(authorize).and(takeLimits)
// @ts-expect-error
edge.and(bindNamedSession)
// @ts-expect-error
known.and(bindSession)
// @ts-expect-error
edge.and(readBody).and(decode).and(settleRevision).and(bindSession)

// A body is read before it is decoded, and decoded before its revision is settled.
// @ts-expect-error
known.and(decode)
// @ts-expect-error
known.and(readBody).and(settleRevision)

// Arguments are looked at when the call is allowed.
// @ts-expect-error
decoded.and(bindSession).and(checkArguments)
// @ts-expect-error
decoded.and(bindSession).and(checkParamHeaders)

// Who may do what an operation is for is asked when it is known who asks, and a body is decoded when it was read.
known
  .and(permit(() => undefined))
  .and(readJson(1))
  .and(decodeJson)
// @ts-expect-error
edge.and(permit(() => undefined))
// @ts-expect-error
known.and(decodeJson)

// On a pipe the message comes first, and who calls is asked all the same before anything is decided about it.
const local = chain<LocalArrival>().and(assignRequestId).and(pipeAddress)
local.and(decode).and(authenticateLocal).and(settleLocalRevision).and(bindLocalSession).and(authorize)
// @ts-expect-error
chain<LocalArrival>().and(authenticateLocal)
// @ts-expect-error
local.and(decode).and(settleLocalRevision).and(authorize)
// @ts-expect-error
local.and(decode).and(settleLocalRevision).and(bindLocalSession)
// @ts-expect-error
local.and(decode).and(authenticateLocal).and(bindLocalSession)
// @ts-expect-error
local.and(authenticateLocal).and(settleLocalRevision)
// A request over HTTP has no host that chose its key.
// @ts-expect-error
edge.and(authenticateLocal)
