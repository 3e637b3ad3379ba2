import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { configSchema } from '../config/schema.ts'
import { alertRules, Recently } from './rules.ts'
import { Watch } from './watch.ts'

const folder = join(import.meta.dirname, '../../ops')
const rules = readFileSync(join(folder, 'prometheus-rules.yml'), 'utf8')
const dashboard: {
  readonly panels: readonly { readonly title: string; readonly targets: readonly { readonly expr: string }[] }[]
  readonly templating: { readonly list: readonly { readonly type: string; readonly query: string }[] }
} = JSON.parse(readFileSync(join(folder, 'grafana-dashboard.json'), 'utf8'))

const { alerts, limits } = configSchema.parse({})
const clock = () => 1_800_000_000_000
const watch = new Watch({
  version: '1',
  tools: true,
  tenants: true,
  thresholds: alerts,
  eventLoopDelayMsMax: limits.eventLoopDelayMsMax,
  probes: {
    auditUnavailable: () => false,
    auditWaiting: () => ({ bytes: 0, lagMs: 0 }),
    storeUnavailable: () => false,
  },
  notices: undefined,
  clock,
  steadyClock: clock,
  random: (size) => Buffer.alloc(size),
  record() {},
})
watch.followServing({ streams: () => 0, calls: () => 0 })
const known = new Set(watch.metrics.registry.names)
const expressions = [...rules.matchAll(/^\s+expr: (?<expr>.+)$/gm)].map(({ groups }) => groups?.['expr'] ?? '')
const ofRule = (name: string) => {
  const found = new RegExp(`alert: ${name}\\n\\s+expr: (?<expr>.+)`).exec(rules)?.groups?.['expr']
  return found ?? ''
}

function namesIn(text: string): readonly string[] {
  return [...text.matchAll(/\b(?:merlon|process|nodejs)_[a-z_]+/g)].map(([name]) =>
    known.has(name) ? name : name.replace(/_(?:bucket|sum|count)$/, ''),
  )
}

describe('what is shipped for those who run it', () => {
  test('every metric that a rule names is there', () => {
    expect(expressions).toHaveLength(14)
    expect(expressions.flatMap(namesIn).filter((name) => !known.has(name))).toEqual([])
  })

  test('every metric that the dashboard names is there, and no panel is without one', () => {
    const queries = [
      ...dashboard.panels.flatMap(({ targets }) => targets.map(({ expr }) => expr)),
      ...dashboard.templating.list.map(({ query }) => query),
    ]
    expect(queries.flatMap(namesIn).filter((name) => !known.has(name))).toEqual([])
    expect(dashboard.panels.length).toBeGreaterThan(15)
    for (const { title, targets } of dashboard.panels)
      for (const { expr } of targets) expect(namesIn(expr), title).not.toEqual([])
  })

  test('every metric of ours is in a rule or on the dashboard, or is not needed there', () => {
    const used = new Set(namesIn(rules + JSON.stringify(dashboard)))
    expect([...known].filter((name) => name.startsWith('merlon_') && !used.has(name)).sort()).toEqual([
      'merlon_audit_waiting_bytes',
      'merlon_tenant_calls_total',
    ])
  })

  test('A20: the thresholds are the defaults of the configuration', () => {
    expect(ofRule('MerlonAuthenticationFailures')).toBe('sum(increase(merlon_authentication_failures_total[1m])) >= 10')
    expect(ofRule('MerlonRateLimit')).toBe('sum(increase(merlon_rate_limit_exceeded_total[1m])) >= 50')
    expect(ofRule('MerlonInvalidKeys')).toBe('sum(increase(merlon_invalid_api_keys_total[1h])) >= 100')
    expect(ofRule('MerlonSessionViolations')).toBe('sum(increase(merlon_session_violations_total[1m])) >= 20')
    expect(ofRule('MerlonEventLoopDelay')).toBe('max by (instance) (merlon_event_loop_delay_seconds) >= 2')
    expect(alerts).toMatchObject({
      authFailuresPerMinute: 10,
      rateLimitPerMinute: 50,
      invalidKeysPerHour: 100,
      sessionViolationsPerMinute: 20,
    })
    expect(limits.eventLoopDelayMsMax).toBe(2_000)
  })

  test('the alerts that a rule names by their own name are there', () => {
    const probes = {
      auditUnavailable: () => false,
      storeUnavailable: () => false,
      limiterLocal: () => false,
      eventLoopDelayMs: () => 0,
      eventLoopDelayMsMax: 1,
      noticesFailing: () => 0,
    }
    const names = alertRules(alerts, new Recently(), probes).map(({ name }) => name)
    const named = /rule=~"(?<names>[^"]+)"/.exec(ofRule('MerlonAlertFiring'))?.groups?.['names']?.split('|') ?? []
    expect(named.length).toBeGreaterThan(0)
    for (const name of named) expect(names).toContain(name)
  })
})
