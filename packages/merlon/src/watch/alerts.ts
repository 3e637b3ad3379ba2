import type { Clock, Instant, RandomBytes } from '../call.ts'

export type AlertState = 'pending' | 'firing' | 'resolved'
export type Severity = 'warning' | 'critical'

/** What raises an alert, and when it is over. */
export interface AlertRule {
  readonly name: string
  readonly severity: Severity
  /** What is wrong, for whoever is woken by it. */
  readonly says: string
  /** What to do first. */
  readonly fix: string
  /** It is wrong while what is read is at least this. */
  readonly threshold: number
  /** How long it must have been wrong before anybody is told. */
  readonly forMs: number
  /** How long it must have been well before it is over. */
  readonly keepMs: number
  /** The number now, on the steady clock. */
  readonly read: (now: number) => number
}

export interface Alert {
  readonly id: string
  readonly rule: string
  readonly severity: Severity
  readonly state: AlertState
  readonly says: string
  readonly fix: string
  readonly threshold: number
  /** The highest number read since it began. */
  readonly value: number
  readonly startedAt: Instant
  readonly firedAt?: Instant
  readonly resolvedAt?: Instant
  readonly acknowledgedAt?: Instant
  /** Who took it on. */
  readonly acknowledgedBy?: string
}

export type Transition = 'firing' | 'acknowledged' | 'resolved'

export interface AlertsOptions {
  readonly rules: readonly AlertRule[]
  readonly clock: Clock
  /** Milliseconds that no setting of the clock moves. */
  readonly steadyClock: Clock
  readonly random: RandomBytes
  /** Told once of each transition. What it throws would end the watch: it may not. */
  readonly onTransition: (alert: Alert, transition: Transition) => void
}

const historyMax = 200

interface Held {
  alert: Alert
  /** On the steady clock. */
  readonly wrongSince: number
  wellSince: number | undefined
}

/**
 * Judges the rules, again and again, and remembers what they said. There is at most one alert of a rule at a time, however
 * often it is found wrong. What is over is kept in a history of 200; a restart forgets all of it, and the audit log has it.
 */
export class Alerts {
  private readonly options: AlertsOptions
  private readonly open = new Map<string, Held>()
  private readonly past: Alert[] = []

  constructor(options: AlertsOptions) {
    this.options = options
  }

  /** Judges every rule once. */
  evaluate(): void {
    const now = this.options.steadyClock()
    for (const rule of this.options.rules) this.judge(rule, now)
  }

  /** What is open, then what is over, the newest first. */
  list(): readonly Alert[] {
    return [...[...this.open.values()].map(({ alert }) => alert).reverse(), ...this.past.toReversed()]
  }

  find(id: string): Alert | undefined {
    return this.list().find((alert) => alert.id === id)
  }

  /** Says that somebody has taken it on. Done twice it stays with the first. `undefined`: there is no such alert. */
  acknowledge(id: string, by: string): Alert | undefined {
    for (const held of this.open.values()) {
      if (held.alert.id !== id) continue
      if (held.alert.acknowledgedAt === undefined) {
        held.alert = { ...held.alert, acknowledgedAt: this.options.clock(), acknowledgedBy: by }
        this.options.onTransition(held.alert, 'acknowledged')
      }
      return held.alert
    }
    return this.past.find((alert) => alert.id === id)
  }

  /** How many are firing, of each rule; for the metrics. */
  firing(): readonly { readonly rule: string; readonly severity: Severity; readonly firing: boolean }[] {
    return this.options.rules.map(({ name, severity }) => ({
      rule: name,
      severity,
      firing: this.open.get(name)?.alert.state === 'firing',
    }))
  }

  private judge(rule: AlertRule, now: number): void {
    const value = rule.read(now)
    const held = this.open.get(rule.name)
    if (value >= rule.threshold) {
      if (held === undefined) this.begin(rule, value, now)
      else {
        held.wellSince = undefined
        if (value > held.alert.value) held.alert = { ...held.alert, value }
      }
    } else if (held !== undefined) this.ease(rule, held, now)
    const present = this.open.get(rule.name)
    if (present?.alert.state === 'pending' && now - present.wrongSince >= rule.forMs) {
      present.alert = { ...present.alert, state: 'firing', firedAt: this.options.clock() }
      this.options.onTransition(present.alert, 'firing')
    }
  }

  private begin({ name, severity, says, fix, threshold }: AlertRule, value: number, now: number): void {
    const id = `alert_${this.options.random(6).toString('hex')}`
    const startedAt = this.options.clock()
    const alert: Alert = { id, rule: name, severity, state: 'pending', says, fix, threshold, value, startedAt }
    this.open.set(name, { alert, wrongSince: now, wellSince: undefined })
  }

  private ease(rule: AlertRule, held: Held, now: number): void {
    // What did not last long enough to be told never was an alert.
    if (held.alert.state === 'pending') {
      this.open.delete(rule.name)
      return
    }
    held.wellSince ??= now
    if (now - held.wellSince < rule.keepMs) return
    this.open.delete(rule.name)
    const over: Alert = { ...held.alert, state: 'resolved', resolvedAt: this.options.clock() }
    this.past.push(over)
    if (this.past.length > historyMax) this.past.shift()
    this.options.onTransition(over, 'resolved')
  }
}
