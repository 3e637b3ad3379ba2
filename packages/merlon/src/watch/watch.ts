import type { Clock, Instant, RandomBytes } from '../call.ts'
import type { Fault } from '../errors.ts'
import { type Alert, Alerts, type Transition } from './alerts.ts'
import { type MethodSeries, Metrics, type MetricsSnapshot, type Outcome } from './metrics.ts'
import type { Notices } from './notices.ts'
import { processMetrics } from './process-metrics.ts'
import { alertRules, type Event, Recently, type Thresholds } from './rules.ts'

/** What other parts are asked for, again and again. Each answers at once and throws nothing. */
export interface WatchProbes {
  /** Whether records cannot be written now. */
  readonly auditUnavailable: () => boolean
  /** Bytes of records that wait to be written, and for how long the first of them has waited. */
  readonly auditWaiting: () => { readonly bytes: number; readonly lagMs: number }
  /** Whether the store cannot be reached now. */
  readonly storeUnavailable: () => boolean
}

export interface WatchOptions {
  readonly version: string
  readonly tools: boolean
  readonly tenants: boolean
  readonly thresholds: Thresholds
  readonly eventLoopDelayMsMax: number
  readonly probes: WatchProbes
  readonly notices: Notices | undefined
  readonly clock: Clock
  readonly steadyClock: Clock
  readonly random: RandomBytes
  /** Records a transition in the audit log. */
  readonly record: (alert: Alert, transition: Transition) => void
}

/** How the parts are, for a caller who may know. */
export interface Health {
  readonly status: 'ok' | 'degraded'
  readonly audit: 'ok' | 'unavailable'
  readonly store: 'ok' | 'unavailable'
  readonly limiter: 'ok' | 'local'
  readonly eventLoopDelayMs: number
  readonly alertsFiring: number
}

/** A jump of the clock that is worth an alert. */
const clockJumpMs = 5_000

/**
 * Counts what happens, and judges it. Calls and refusals are told to it in one place each; what changes by itself it asks
 * for at every tick.
 */
export class Watch {
  readonly metrics: Metrics
  readonly alerts: Alerts
  private readonly options: WatchOptions
  private readonly recently = new Recently()
  private lateMs = 0
  private sessions: number | undefined
  private limiterLocal: () => boolean = () => false
  /** What the clock is ahead of the steady one. */
  private ahead: number

  constructor(options: WatchOptions) {
    this.options = options
    const { clock, steadyClock, random, notices, probes } = options
    this.ahead = clock() - steadyClock()
    this.metrics = new Metrics(options)
    this.alerts = new Alerts({
      rules: alertRules(options.thresholds, this.recently, {
        auditUnavailable: probes.auditUnavailable,
        storeUnavailable: probes.storeUnavailable,
        limiterLocal: () => this.limiterLocal(),
        eventLoopDelayMs: () => this.lateMs,
        eventLoopDelayMsMax: options.eventLoopDelayMsMax,
        noticesFailing: () => notices?.failing ?? 0,
      }),
      clock,
      steadyClock,
      random,
      onTransition(alert, transition) {
        options.record(alert, transition)
        if (alert.rule !== 'webhook-failing') notices?.offer(alert, transition)
      },
    })
    this.registerGauges()
  }

  /** The place of a method in the counts, to be kept. */
  method(name: string): MethodSeries {
    return this.metrics.method(name)
  }

  /** Told once of each admitted call that has ended. On the path of every call. */
  called(
    series: MethodSeries,
    outcome: Outcome,
    durationMs: number,
    tool: string | undefined,
    tenant: string,
    fault: Fault | undefined,
  ): void {
    this.metrics.called(series, outcome, durationMs, tool, tenant, fault)
  }

  /** Told once of each request that was refused, on any door. */
  refused(fault: Fault, method: string | undefined, durationMs: number | undefined): void {
    const now = this.options.steadyClock()
    for (const signal of this.metrics.refused(fault, method, durationMs)) this.recently.saw(signal, now)
    if (fault.detail.reason === 'retired-secret') this.recently.happened('retired-secret', now)
  }

  /** Told of something that is worth an alert by itself. */
  happened(event: Event): void {
    this.recently.happened(event, this.options.steadyClock())
  }

  /** Told how to ask what is open. `sessions` is asked for now and then; the others when somebody reads. */
  followServing({ streams, calls }: { readonly streams: () => number; readonly calls: () => number }): void {
    const { registry } = this.metrics
    registry.gauge('merlon_streams', 'Streams that are open.', streams)
    registry.gauge('merlon_calls_running', 'Calls under way, and streams that calls hold open.', calls)
    registry.gauge('merlon_sessions', 'Sessions of the stateful revisions that are open.', () => this.sessions)
  }

  /** Told how many sessions there are. */
  sawSessions(count: number): void {
    this.sessions = count
  }

  /** Told how to ask whether limits are counted by this process alone. */
  followLimiter(isLocal: () => boolean): void {
    this.limiterLocal = isLocal
  }

  /** Told how to ask over what replicas wake each other. */
  followWakes(over: () => 'redis' | 'postgres' | 'none'): void {
    this.metrics.registry.gauge(
      'merlon_wakes',
      'How replicas wake each other: 1 for the way in use. Over none, what is new is found by polls alone.',
      () => (['redis', 'postgres', 'none'] as const).map((way) => ({ labels: [way], value: Number(over() === way) })),
      ['over'],
    )
  }

  /** Told how to ask when the certificate of TLS ends. */
  followCertificate(endsAt: () => Instant): void {
    const says = 'When the certificate in use ends, in seconds since the epoch.'
    this.metrics.registry.gauge('merlon_certificate_ends_seconds', says, () => endsAt() / 1_000)
  }

  /** Twice a second: judges the rules and sends what is due. `lateMs`: how late this tick comes. */
  tick(lateMs: number): void {
    const { clock, steadyClock, notices } = this.options
    this.lateMs = Math.max(0, lateMs)
    const ahead = clock() - steadyClock()
    if (Math.abs(ahead - this.ahead) > clockJumpMs) this.happened('clock-jump')
    this.ahead = ahead
    this.alerts.evaluate()
    void notices?.tick()
  }

  /** For Prometheus. */
  metricsText(): string {
    return this.metrics.text()
  }

  metricsSnapshot(): MetricsSnapshot {
    return this.metrics.snapshot()
  }

  /** Whether a call that comes now can be checked and recorded: what readiness tells a stranger, without the reason. */
  isWell(): boolean {
    const { auditUnavailable, storeUnavailable } = this.options.probes
    return !auditUnavailable() && !storeUnavailable()
  }

  health(): Health {
    const { probes } = this.options
    const audit = probes.auditUnavailable() ? 'unavailable' : 'ok'
    const store = probes.storeUnavailable() ? 'unavailable' : 'ok'
    const limiter = this.limiterLocal() ? 'local' : 'ok'
    return {
      status: audit === 'ok' && store === 'ok' && limiter === 'ok' ? 'ok' : 'degraded',
      audit,
      store,
      limiter,
      eventLoopDelayMs: Math.round(this.lateMs),
      alertsFiring: this.alerts.firing().filter(({ firing }) => firing).length,
    }
  }

  private registerGauges(): void {
    const { registry } = this.metrics
    const { probes, notices } = this.options
    registry.gauge(
      'merlon_alerts_firing',
      'Whether the alert of this rule is firing.',
      () =>
        this.alerts.firing().map(({ rule, severity, firing }) => ({ labels: [rule, severity], value: Number(firing) })),
      ['rule', 'severity'],
    )
    registry.gauge('merlon_audit_up', 'Whether audit records can be written.', () => Number(!probes.auditUnavailable()))
    registry.gauge(
      'merlon_audit_lag_seconds',
      'How long the oldest audit record that is not yet written has waited.',
      () => probes.auditWaiting().lagMs / 1_000,
    )
    registry.gauge(
      'merlon_audit_waiting_bytes',
      'Audit records that wait to be written.',
      () => probes.auditWaiting().bytes,
    )
    registry.gauge('merlon_store_up', 'Whether the store can be reached.', () => Number(!probes.storeUnavailable()))
    registry.gauge(
      'merlon_rate_limit_local',
      'Whether limits are counted by this process alone, because the shared store is out of reach.',
      () => Number(this.limiterLocal()),
    )
    registry.gauge(
      'merlon_event_loop_delay_seconds',
      'How late the last tick of a timer came that is due twice a second.',
      () => this.lateMs / 1_000,
    )
    registry.reading(
      'merlon_alert_notices_total',
      'Notices of alerts to the webhook, by what became of them.',
      () => [
        { labels: ['delivered'], value: notices?.delivered ?? 0 },
        { labels: ['given_up'], value: notices?.givenUp ?? 0 },
        { labels: ['dropped'], value: notices?.dropped ?? 0 },
      ],
      ['result'],
    )
    processMetrics(registry)
  }
}
