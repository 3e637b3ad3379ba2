import { type AuditEntry, type AuditLog, auditText } from '../audit/audit-log.ts'
import type { Clock, Principal } from '../call.ts'
import type { Fault } from '../errors.ts'
import type { MethodSeries, Outcome } from '../watch/metrics.ts'
import { canonicalJson } from './canonical-json.ts'
import type { Recorder } from './dispatch.ts'

const whoOf = new WeakMap<Principal, string>()

/** The members that say who; a principal is shared between calls, and so is its text. */
function who(principal: Principal): string {
  let text = whoOf.get(principal)
  if (text === undefined) {
    const { credential, id, tenant } = principal
    text = `"clientId":${auditText(credential)},"principal":${auditText(id)},"tenant":${auditText(tenant)}`
    whoOf.set(principal, text)
  }
  return text
}

const done = { level: 'info', success: true } as const

/** A call that was admitted and refused after all, as for a state that was tampered with, or that failed, is no success. */
function endedBy(fault: Fault) {
  return { level: fault.spec.blame === 'caller' ? 'warn' : 'error', success: false } as const
}

function faultMembers({ spec, detail }: Fault): string {
  const code = `,"code":"${spec.code}"`
  return detail.reason === undefined ? code : `${code},"reason":${auditText(detail.reason)}`
}

/** How the calls of one method are recorded, and where they are counted. */
export interface CallKind {
  readonly audit: string
  readonly series: MethodSeries
}

/** Where calls are counted. */
export interface CallCounts {
  called(
    series: MethodSeries,
    outcome: Outcome,
    durationMs: number,
    tool: string | undefined,
    tenant: string,
    fault: Fault | undefined,
  ): void
}

/** Where a call came from, as a member of its record. */
function ipOf(address: string): string {
  return `"ip":${auditText(address)}`
}

/**
 * Writes the record of an admitted call, and counts it. A client that cancels or leaves is no failure. The path of a call ends here, so
 * the line is put together by hand.
 */
export function recorder(
  audit: AuditLog,
  clock: Clock,
  kinds: ReadonlyMap<string, CallKind>,
  others: CallKind,
  counts: CallCounts,
  argumentDigest?: ((text: string) => string) | undefined,
  placeOf: (address: string) => string = ipOf,
): Recorder {
  return ({ message, principal, target, envelope, requestId, address, startedAt }, fault, outcome) => {
    const method = message.kind === 'response' ? 'response' : message.method
    const { audit: type, series } = kinds.get(method) ?? others
    const { level, success } = fault === undefined || fault.code === 'call.cancelled' ? done : endedBy(fault)
    const durationMs = clock() - startedAt
    const tool = type === 'tool_access' ? target?.name : undefined
    let line = `"level":"${level}","type":"${type}","success":${success},${who(principal)},${placeOf(address)},"requestId":"${requestId}","method":${auditText(method)}`
    if (target?.name !== undefined) line += `,"${type === 'tool_access' ? 'tool' : 'target'}":${auditText(target.name)}`
    if (target !== undefined && target.requirement !== 'authenticated') line += `,"scope":"${target.requirement.scope}"`
    if (fault !== undefined) line += faultMembers(fault)
    if (argumentDigest !== undefined && tool !== undefined && message.kind === 'request')
      line += `,${argumentDigest(canonicalJson(message.params['arguments'] ?? {}))}`
    if (envelope.trace !== undefined) line += `,"traceId":"${envelope.trace.traceId}"`
    audit.appendLine(`${line},"outcome":"${outcome}","durationMs":${durationMs}`)
    counts.called(series, outcome, durationMs, tool, principal.tenant, fault)
  }
}

/** What is known of a call that a guard refused. */
export interface RefusedCall {
  readonly requestId: string | undefined
  readonly address: string | undefined
  readonly principal: Principal | undefined
  readonly method: string | undefined
  readonly target: string | undefined
  /** The public id that a refused credential named. It proves nothing. */
  readonly credential: string | undefined
  /** As the caller names it. */
  readonly traceId: string | undefined
}

/** The record of a refusal. Its type says which kind of guard it was. */
export function refusalEntry(call: RefusedCall, fault: Fault): AuditEntry {
  return {
    type: refusalType(call, fault),
    success: false,
    // A secret that was replaced, shown after its grace: someone still has it, and should not.
    level: fault.spec.blame === 'server' || fault.detail.reason === 'retired-secret' ? 'error' : 'warn',
    requestId: call.requestId,
    ip: call.address,
    clientId: call.principal?.credential ?? call.credential,
    principal: call.principal?.id,
    tenant: call.principal?.tenant,
    method: call.method,
    [call.method === 'tools/call' ? 'tool' : 'target']: call.target,
    scope: fault.detail.scope,
    code: fault.spec.code,
    reason: fault.detail.reason,
    traceId: call.traceId,
  }
}

function refusalType(call: RefusedCall, fault: Fault): AuditEntry['type'] {
  if (fault.code.startsWith('credential.') || fault.code.startsWith('login.')) return 'auth'
  if (fault.code === 'rate.exceeded') return 'rate_limit'
  if (fault.code.startsWith('session.') || fault.code.startsWith('stream.')) return 'session_violation'
  if (call.principal === undefined) return 'edge'
  return call.method === 'tools/call' ? 'tool_access' : 'access'
}
