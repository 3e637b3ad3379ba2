import type { AlertRule } from './alerts.ts'
import { type Signal, SlidingCount, signals } from './signals.ts'

/** The thresholds of the configuration. */
export interface Thresholds {
  readonly authFailuresPerMinute: number
  readonly rateLimitPerMinute: number
  readonly invalidKeysPerHour: number
  readonly sessionViolationsPerMinute: number
}

/** What is asked of other parts, every time the rules are judged. Each answers at once. */
export interface Probes {
  /** Whether records cannot be written now. */
  readonly auditUnavailable: () => boolean
  /** Whether the store cannot be reached now. */
  readonly storeUnavailable: () => boolean
  /** Whether limits are counted by this process alone because the shared store is out of reach. */
  readonly limiterLocal: () => boolean
  /** How late the event loop last came, in milliseconds. */
  readonly eventLoopDelayMs: () => number
  /** From here on new requests are refused. */
  readonly eventLoopDelayMsMax: number
  /** Notices that were given up since the last one that was delivered. */
  readonly noticesFailing: () => number
}

/** What happens once and is worth an alert by itself. */
export const events = ['retired-secret', 'audit-tampered', 'sealed-unreadable', 'clock-jump'] as const
export type Event = (typeof events)[number]

const minuteMs = 60_000
const hourMs = 3_600_000

/** Counts signs and events, for the rules that look at how many there were of late. */
export class Recently {
  private readonly minutes = new Map(signals.map((signal) => [signal, new SlidingCount(minuteMs)]))
  private readonly hours = new Map(signals.map((signal) => [signal, new SlidingCount(hourMs)]))
  private readonly events = new Map(events.map((event) => [event, new SlidingCount(hourMs)]))

  saw(signal: Signal, now: number): void {
    this.minutes.get(signal)!.add(now)
    this.hours.get(signal)!.add(now)
  }

  happened(event: Event, now: number): void {
    this.events.get(event)!.add(now)
  }

  inMinute = (signal: Signal) => (now: number) => this.minutes.get(signal)!.count(now)
  inHour = (signal: Signal) => (now: number) => this.hours.get(signal)!.count(now)
  ofEvent = (event: Event) => (now: number) => this.events.get(event)!.count(now)
}

const truth = (probe: () => boolean) => () => Number(probe())

/** Every rule, the four of the configuration first. */
export function alertRules(thresholds: Thresholds, recently: Recently, probes: Probes): readonly AlertRule[] {
  const rate = { severity: 'warning', forMs: 0, keepMs: minuteMs } as const
  const outage = { severity: 'critical', threshold: 1, keepMs: 30_000 } as const
  const event = { severity: 'critical', threshold: 1, forMs: 0, keepMs: 0 } as const
  return [
    {
      ...rate,
      name: 'authentication-failures',
      says: 'Many requests failed to authenticate within a minute.',
      fix: 'See which addresses: jq \'select(.type=="auth" and .success==false)|.ip\' audit.jsonl',
      threshold: thresholds.authFailuresPerMinute,
      read: recently.inMinute('authenticationFailures'),
    },
    {
      ...rate,
      name: 'rate-limit',
      says: 'Many requests were over a limit within a minute.',
      fix: 'See who: jq \'select(.type=="rate_limit")|.clientId // .ip\' audit.jsonl',
      threshold: thresholds.rateLimitPerMinute,
      read: recently.inMinute('rateLimitExceeded'),
    },
    {
      ...rate,
      name: 'invalid-keys',
      says: 'Many bad keys were shown within an hour: somebody guesses, or a program has an old key.',
      fix: 'See which: jq \'select(.code=="INVALID_API_KEY")|[.ip,.clientId,.reason]\' audit.jsonl',
      threshold: thresholds.invalidKeysPerHour,
      read: recently.inHour('invalidApiKeys'),
    },
    {
      ...rate,
      name: 'session-violations',
      says: 'Many requests named a session that is not theirs or not there within a minute.',
      fix: 'See who: jq \'select(.type=="session_violation")|[.clientId,.ip,.code]\' audit.jsonl',
      threshold: thresholds.sessionViolationsPerMinute,
      read: recently.inMinute('sessionViolations'),
    },
    {
      ...outage,
      name: 'audit-unavailable',
      says: 'The audit log cannot be written, and calls are refused.',
      fix: 'Check the disk and the owner of the audit log; the program log says what failed.',
      forMs: 0,
      read: truth(probes.auditUnavailable),
    },
    {
      ...outage,
      name: 'store-unavailable',
      says: 'The store cannot be reached: nobody is let in whose key has to be looked up.',
      fix: 'Check the database; the program log says what failed.',
      forMs: 2_000,
      read: truth(probes.storeUnavailable),
    },
    {
      ...outage,
      severity: 'warning',
      name: 'limiter-local',
      says: 'The shared store of limits cannot be reached: each process counts for itself.',
      fix: 'Check Redis.',
      forMs: 5_000,
      read: truth(probes.limiterLocal),
    },
    {
      ...outage,
      severity: 'warning',
      name: 'event-loop-delay',
      says: 'The server cannot keep up, and refuses new requests.',
      fix: 'Find the tool that blocks the process, or run more processes.',
      threshold: probes.eventLoopDelayMsMax,
      forMs: 0,
      read: () => probes.eventLoopDelayMs(),
    },
    {
      ...event,
      name: 'retired-secret',
      says: 'A secret that was replaced was shown after its grace: somebody still has it.',
      fix: 'See which key and from where: jq \'select(.reason=="retired-secret")|[.clientId,.ip]\' audit.jsonl',
      read: recently.ofEvent('retired-secret'),
    },
    {
      ...event,
      name: 'audit-tampered',
      says: 'The audit log is not what was written: something was changed, left out or put in.',
      fix: 'Keep the file as it is, and run the verification of the audit log.',
      read: recently.ofEvent('audit-tampered'),
    },
    {
      ...event,
      name: 'sealed-unreadable',
      says: 'What was kept sealed does not open: somebody wrote to the database, or a key is gone. It is used for nothing.',
      fix: 'See how often: jq \'select(.type=="crypto")|[.timestamp,.tenant,.key]\' audit.jsonl, and who can write to the database.',
      read: recently.ofEvent('sealed-unreadable'),
    },
    {
      ...event,
      severity: 'warning',
      name: 'clock-jump',
      says: 'The clock of the machine was set by more than five seconds.',
      fix: 'Check the time service; lifetimes of keys and sessions hang on it.',
      read: recently.ofEvent('clock-jump'),
    },
    {
      ...outage,
      severity: 'warning',
      name: 'webhook-failing',
      says: 'Notices of alerts do not reach the webhook.',
      fix: 'Check alerts.webhook and the receiver; merlon_alert_notices_total counts them.',
      forMs: 0,
      keepMs: 0,
      read: () => probes.noticesFailing(),
    },
  ]
}
