import type { Clock } from '../call.ts'
import type { Fault } from '../errors.ts'
import { type Counter, type FamilySnapshot, type Histogram, other, Registry } from './registry.ts'
import { type Signal, signals, signalsOf } from './signals.ts'

/** How an admitted call ended. */
export const outcomes = ['completed', 'input_required', 'accepted', 'failed', 'cancelled'] as const
export type Outcome = (typeof outcomes)[number]

/** The place of one protocol method in the counts: found once, at start. */
export interface MethodSeries {
  readonly method: string
  readonly calls: Readonly<Record<Outcome, number>>
  readonly refused: number
  readonly allowed: number
  readonly denied: number
}

export interface MetricsOptions {
  readonly version: string
  /** Counts calls for each tool. */
  readonly tools: boolean
  /** Counts calls for each tenant: its id is shown to whoever reads the metrics. */
  readonly tenants: boolean
  readonly clock: Clock
}

export interface MetricsSnapshot {
  /** When the counts began: the start of the server. */
  readonly since: number
  readonly authenticationFailures: number
  readonly rateLimitExceeded: number
  readonly invalidApiKeys: number
  readonly sessionViolations: number
  readonly families: readonly FamilySnapshot[]
}

/** From one millisecond, below which the clock of calls tells nothing apart, to the longest call. */
const durationBounds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]
/** Series, five for each name. */
const toolsMax = 5_000
const tenantsMax = 5_000
const refusalsMax = 512

/** What the four counters are called in Prometheus. */
const signalNames: Readonly<Record<Signal, readonly [name: string, help: string]>> = {
  authenticationFailures: [
    'merlon_authentication_failures_total',
    'Requests refused because nobody was recognised: no credential, a bad one, two of them, or one guess too many.',
  ],
  rateLimitExceeded: ['merlon_rate_limit_exceeded_total', 'Requests refused because a limit was reached.'],
  invalidApiKeys: ['merlon_invalid_api_keys_total', 'Credentials that were shown and are not good.'],
  sessionViolations: [
    'merlon_session_violations_total',
    'Requests refused for their session: missing, unknown, of somebody else, of another revision, over a cap.',
  ],
}

/** Everything that is counted. One observation is a few additions in arrays. */
export class Metrics {
  readonly registry = new Registry()
  private readonly since: number
  private readonly calls: Counter
  private readonly durations: Histogram
  private readonly faults: Counter
  private readonly refusals: Counter
  private readonly tools: { readonly calls: Counter; readonly seconds: Counter; readonly at: Places } | undefined
  private readonly tenants: { readonly calls: Counter; readonly at: Places } | undefined
  private readonly signalCounts: ReadonlyMap<Signal, Counter>
  private readonly methods = new Map<string, MethodSeries>()
  private readonly unknown: MethodSeries

  constructor(options: MetricsOptions) {
    const { registry } = this
    this.since = options.clock()
    this.calls = registry.counter('merlon_calls_total', 'MCP messages by method, and how they ended.', {
      labels: ['method', 'outcome'],
    })
    this.durations = registry.histogram(
      'merlon_call_duration_seconds',
      'Time from the arrival of a request to its answer, by method and decision. Measured in whole milliseconds.',
      { bounds: durationBounds, labels: ['method', 'decision'] },
    )
    this.faults = registry.counter('merlon_faults_total', 'Admitted calls that ended with an error, by its code.', {
      labels: ['code'],
    })
    this.refusals = registry.counter(
      'merlon_refusals_total',
      'Requests that a guard refused, by the code of the answer and the reason that the caller is not told.',
      { labels: ['code', 'reason'], seriesMax: refusalsMax },
    )
    const outcome = ['outcome']
    if (options.tools) {
      const tool = { labels: ['tool', ...outcome], seriesMax: toolsMax }
      const calls = registry.counter('merlon_tool_calls_total', 'Calls of each tool, and how they ended.', tool)
      const seconds = registry.counter('merlon_tool_seconds_total', 'Time spent in calls of each tool.', tool)
      this.tools = { calls, seconds, at: places(calls, seconds, toolsMax) }
    }
    if (options.tenants) {
      const calls = registry.counter('merlon_tenant_calls_total', 'Calls of each tenant.', {
        labels: ['tenant', ...outcome],
        seriesMax: tenantsMax,
      })
      this.tenants = { calls, at: places(calls, undefined, tenantsMax) }
    }
    this.signalCounts = new Map(signals.map((signal) => [signal, registry.counter(...signalNames[signal])]))
    this.unknown = this.method(other)
    registry.gauge('merlon_build_info', 'The version that runs.', () => [{ labels: [options.version], value: 1 }], [
      'version',
    ])
  }

  /** The place of a method. Its name comes from our table of methods, never from a request. */
  method(name: string): MethodSeries {
    let series = this.methods.get(name)
    if (series === undefined) {
      series = {
        method: name,
        calls: Object.fromEntries(outcomes.map((one) => [one, this.calls.series(name, one)])) as MethodSeries['calls'],
        refused: this.calls.series(name, 'refused'),
        allowed: this.durations.series(name, 'allowed'),
        denied: this.durations.series(name, 'denied'),
      }
      this.methods.set(name, series)
    }
    return series
  }

  /** An admitted call has ended. On the path of every call. */
  called(
    series: MethodSeries,
    outcome: Outcome,
    durationMs: number,
    tool: string | undefined,
    tenant: string,
    fault: Fault | undefined,
  ): void {
    // A clock that was set back makes no negative time.
    const seconds = durationMs > 0 ? durationMs / 1_000 : 0
    this.calls.add(series.calls[outcome])
    this.durations.observe(series.allowed, seconds)
    if (tool !== undefined && this.tools !== undefined) {
      const { calls, seconds: spent, at } = this.tools
      const place = at(tool)[outcome]
      calls.add(place.calls)
      spent.add(place.seconds, seconds)
    }
    if (this.tenants !== undefined) this.tenants.calls.add(this.tenants.at(tenant)[outcome].calls)
    if (fault !== undefined) this.faults.count(fault.code)
  }

  /** A guard has refused a request. `method` is what was asked for, if that was read. Answers what it is a sign of. */
  refused(fault: Fault, method: string | undefined, durationMs: number | undefined): readonly Signal[] {
    const series = method === undefined ? this.unknown : (this.methods.get(method) ?? this.unknown)
    this.calls.add(series.refused)
    if (durationMs !== undefined) this.durations.observe(series.denied, durationMs > 0 ? durationMs / 1_000 : 0)
    this.refusals.count(fault.code, reasonLabel(fault))
    const seen = signalsOf(fault)
    for (const signal of seen) this.signalCounts.get(signal)!.add(0)
    return seen
  }

  text(): string {
    return this.registry.text()
  }

  snapshot(): MetricsSnapshot {
    const count = (signal: Signal) => this.signalCounts.get(signal)!.value()
    return {
      since: this.since,
      authenticationFailures: count('authenticationFailures'),
      rateLimitExceeded: count('rateLimitExceeded'),
      invalidApiKeys: count('invalidApiKeys'),
      sessionViolations: count('sessionViolations'),
      families: this.registry.snapshot(),
    }
  }
}

type Place = Readonly<Record<Outcome, { readonly calls: number; readonly seconds: number }>>
/** The places of one tool or tenant. */
type Places = (name: string) => Place

/** Remembers where each name is counted: to find it by its labels again costs more than all else that is done for a call. */
function places(calls: Counter, seconds: Counter | undefined, namesMax: number): Places {
  const known = new Map<string, Place>()
  return (name) => {
    let place = known.get(name)
    if (place === undefined) {
      place = Object.fromEntries(
        outcomes.map((outcome) => [
          outcome,
          { calls: calls.series(name, outcome), seconds: seconds?.series(name, outcome) ?? 0 },
        ]),
      ) as Place
      if (known.size < namesMax) known.set(name, place)
    }
    return place
  }
}

/** Why a credential was refused, in words of ours. What the authenticator of a project says instead is not shown. */
const credentialReasons: ReadonlySet<string> = new Set([
  'malformed',
  'length',
  'scheme',
  'unknown',
  'secret',
  'retired-secret',
  'revoked',
  'inactive',
  'owner-disabled',
  'agent-inactive',
  'tenant-suspended',
  'tenant-inactive',
  'subject-blocked',
  'expired',
  'withdrawn',
  'wrong-door',
  'address',
  'scopes',
  'no-answer',
  'sign-in-unknown',
  'token-length',
  'token-parts',
  'token-base64',
  'token-json',
  'token-header',
  'token-key-id',
  'token-algorithm',
  'token-type',
  'token-issuer',
  'token-inactive',
  'token-opaque',
  'token-audience',
  'token-times',
  'token-expired',
  'token-not-yet',
  'token-lifetime',
  'token-subject',
  'token-required-claim',
  'token-binding',
  'token-unbound',
  'token-key',
  'token-signature',
  'token-claims',
  'token-scheme',
  'token-proof-missing',
  'token-proof-malformed',
  'token-proof-key',
  'token-proof-signature',
  'token-proof-request',
  'token-proof-time',
  'token-proof-token',
  'token-proof-replayed',
])
const reasonPattern = /^[A-Za-z][A-Za-z0-9_.:-]{0,47}$/

/**
 * The reason as a label. The words of ours are short; an authenticator of the project may say anything, so that what it
 * says is not shown, and the number of all reasons is bounded besides.
 */
function reasonLabel({ code, detail: { reason } }: Fault): string {
  if (reason === undefined) return ''
  return code === 'credential.invalid' && !credentialReasons.has(reason)
    ? other
    : reasonPattern.test(reason)
      ? reason
      : other
}
