import type { Trace } from '../call.ts'

const shape = /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/
const stateLengthMax = 512
const stateMember =
  /^(?:[a-z][a-z0-9_*/-]{0,255}|[a-z0-9][a-z0-9_*/-]{0,240}@[a-z][a-z0-9_*/-]{0,13})=[ -+\--<>-~]{0,255}[!-+\--<>-~]$/
const stateMembersMax = 32

/**
 * The trace that a caller says this call belongs to (W3C Trace Context; MCP carries it in `_meta`, "OpenTelemetry trace
 * context"). What stands in `_meta` is the message's own; a header may be that of a proxy, and holds where there is none.
 * What is malformed is as if it were not there: it refuses nothing, and decides nothing.
 */
export function readTrace(
  meta: Readonly<Record<string, unknown>> | undefined,
  headers: Readonly<Record<string, unknown>>,
): Trace | undefined {
  const own = meta?.['traceparent']
  if (own !== undefined) return parseTrace(own, meta?.['tracestate'])
  const given = headers['traceparent']
  return given === undefined ? undefined : parseTrace(given, headers['tracestate'])
}

export function parseTrace(traceparent: unknown, tracestate: unknown): Trace | undefined {
  if (typeof traceparent !== 'string' || traceparent.length !== 55 || !shape.test(traceparent)) return undefined
  const traceId = traceparent.slice(3, 35)
  return isState(tracestate) ? { traceId, traceparent, tracestate } : { traceId, traceparent }
}

function isState(text: unknown): text is string {
  if (typeof text !== 'string' || text === '' || text.length > stateLengthMax) return false
  const members = text.split(',').map((member) => member.trim())
  return members.length <= stateMembersMax && members.every((member) => stateMember.test(member))
}
