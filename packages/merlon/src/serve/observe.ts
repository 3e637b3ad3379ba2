import { pino } from 'pino'
import type { AuditLog } from '../audit/audit-log.ts'
import type { Clock, Message, Principal } from '../call.ts'
import type { Config } from '../config/schema.ts'
import type { Secrets } from '../config/secrets.ts'
import { refusalEntry } from '../dispatch/record.ts'
import type { Log } from '../dispatch/services.ts'
import type { Fault } from '../errors.ts'
import type { Installation } from '../installation/installation.ts'
import type { HttpCall } from '../transport/http-call.ts'
import { describeFailure } from '../watch/failure.ts'
import { Notices } from '../watch/notices.ts'
import { postTo } from '../watch/post.ts'
import { RequestLog, type RequestLogMode } from '../watch/request-log.ts'
import { Watch } from '../watch/watch.ts'
import type { Envelope } from '../wire/revision.ts'

export interface WatchParts {
  readonly config: Config
  readonly secrets: Pick<Secrets, 'webhookUrl' | 'webhookKey'>
  readonly installation: Pick<Installation, 'audit' | 'storeReachable'>
  readonly version: string
  readonly log: Log
  readonly clock: Clock
  readonly steadyClock: Clock
  readonly random: (size: number) => Buffer
}

/** The watch of a process: what it counts, and the alerts that it raises. */
export function openWatch({
  config,
  secrets,
  installation,
  version,
  log,
  clock,
  steadyClock,
  random,
}: WatchParts): Watch {
  const { audit } = installation
  const { webhookUrl, webhookKey } = secrets
  return new Watch({
    version,
    ...config.metrics,
    thresholds: config.alerts,
    eventLoopDelayMsMax: config.limits.eventLoopDelayMsMax,
    probes: {
      auditUnavailable: () => fails(() => audit.check()),
      auditWaiting: () => audit.backlog(),
      storeUnavailable: () => !installation.storeReachable(),
    },
    notices:
      webhookUrl &&
      new Notices({
        post: postTo(webhookUrl),
        key: webhookKey,
        server: config.name,
        clock,
        steadyClock,
        random,
        onGivenUp: (what) => log.warn({ what }, 'a notice of an alert was given up: the webhook does not take it'),
      }),
    clock,
    steadyClock,
    random,
    record({ id, rule, severity, value, threshold, acknowledgedBy }, transition) {
      audit.append({
        type: 'alert',
        success: transition !== 'firing',
        level: transition !== 'firing' ? 'info' : severity === 'critical' ? 'error' : 'warn',
        action: transition,
        target: rule,
        outcome: id,
        by: transition === 'acknowledged' ? acknowledgedBy : undefined,
        detail: { value, threshold },
      })
      const fields = { alert: id, rule, value, threshold }
      if (transition === 'firing') log.warn(fields, 'an alert fires')
      else log.info(fields, `an alert is ${transition}`)
    },
  })
}

function fails(check: () => void): boolean {
  try {
    check()
    return false
  } catch {
    return true
  }
}

export interface RefusalParts {
  readonly audit: Pick<AuditLog, 'append'>
  /** Records refusals of those who showed nothing. */
  readonly strangers: Pick<AuditLog, 'append'>
  readonly watch: Watch
  readonly log: Log
  readonly clock: Clock
}

/** What is known of a request that was refused: of one that could not be read only where it came from. */
type RefusedRequest = Pick<HttpCall, 'requestId' | 'address'> &
  Partial<Pick<HttpCall, 'startedAt' | 'principal' | 'message' | 'target' | 'envelope' | 'fault'>>

/** Tells of a request that was refused, once and in one place: the record, the counts, and of our own failures the log. */
export function observeRefusal(call: RefusedRequest, fault: Fault, parts: RefusalParts): void {
  const message = call.message as Message | undefined
  const principal = call.principal as Principal | undefined
  const target = call.target as { name?: string } | undefined
  const method = message === undefined || message.kind === 'response' ? undefined : message.method
  const audit = principal === undefined ? parts.strangers : parts.audit
  call.fault = fault
  parts.watch.refused(fault, method, call.startedAt === undefined ? undefined : parts.clock() - call.startedAt)
  audit.append(
    refusalEntry(
      {
        requestId: call.requestId,
        address: call.address,
        principal,
        method,
        target: fault.detail.target ?? target?.name,
        credential: fault.detail.credential,
        traceId: (call.envelope as Envelope | undefined)?.trace?.traceId,
      },
      fault,
    ),
  )
  // An outage is told once by who found it, not by every call that it turns away.
  if (fault.code === 'internal' || (fault.spec.blame === 'server' && fault.cause !== undefined)) {
    const failure = describeFailure(fault.cause, fault.code !== 'internal')
    parts.log.error({ requestId: call.requestId, code: fault.code, failure }, fault.spec.says)
  }
}

/** Writes the request log; undefined where there is none. Called when an answer is complete. */
export function requestLog(
  mode: RequestLogMode,
  log: Log,
  { clock, steadyClock }: { readonly clock: Clock; readonly steadyClock: Clock },
  isKnown: { readonly route: (path: string) => boolean; readonly method: (name: string) => boolean },
): ((call: HttpCall, status: number, bytes: number | undefined) => void) | undefined {
  if (mode === 'none') return undefined
  const requests = new RequestLog(log, steadyClock)
  return (call, status, bytes) => {
    const fault = call.fault as Fault | undefined
    if (mode === 'failures' && fault === undefined && status < 400) return
    const message = call.message as Message | undefined
    const principal = call.principal as Principal | undefined
    const named = message === undefined || message.kind === 'response' ? message?.kind : message.method
    const method = named === undefined || named === 'response' || isKnown.method(named) ? named : 'unknown'
    // An operation of the control plane says what was asked for; its path may hold an id.
    const elsewhere = method === undefined || method === 'unknown' ? 'unknown' : undefined
    const line = {
      requestId: call.requestId,
      verb: call.verb,
      route: isKnown.route(call.path) ? call.path : elsewhere,
      status,
      method,
      target: (call.target as { name?: string } | undefined)?.name,
      code: fault?.spec.code,
      durationMs: call.startedAt === undefined ? undefined : Math.max(0, clock() - call.startedAt),
      bytes,
      address: call.address,
      credential: principal?.credential ?? fault?.detail.credential,
      traceId: (call.envelope as Envelope | undefined)?.trace?.traceId,
    }
    requests.write(line, principal === undefined)
  }
}

/** JSON lines on standard error. */
export function defaultLog({ log }: Pick<Config, 'log'>): Log {
  const serializers = { err: (thrown: unknown) => describeFailure(thrown, true) }
  const { level } = log
  return pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime, serializers }, pino.destination(2))
}
