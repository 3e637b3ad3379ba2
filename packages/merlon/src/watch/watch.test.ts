import { describe, expect, test } from 'vitest'
import { type ErrorCode, Fault, type FaultDetail } from '../errors.ts'
import type { Transition } from './alerts.ts'
import type { Post } from './notices.ts'
import { Notices } from './notices.ts'
import { Watch, type WatchOptions } from './watch.ts'

function watching(change: Partial<WatchOptions> & { readonly post?: Post } = {}) {
  const state = { now: 1_000_000, ahead: 1_800_000_000_000, auditDown: false, storeDown: false, local: false }
  const told: string[] = []
  const clock = () => state.ahead + state.now
  const steadyClock = () => state.now
  const random = (size: number) => Buffer.alloc(size)
  const notices =
    change.post &&
    new Notices({ post: change.post, key: undefined, server: 's', clock, steadyClock, random, onGivenUp() {} })
  const watch = new Watch({
    version: '1.2.3',
    tools: true,
    tenants: false,
    thresholds: {
      authFailuresPerMinute: 10,
      rateLimitPerMinute: 50,
      invalidKeysPerHour: 100,
      sessionViolationsPerMinute: 20,
    },
    eventLoopDelayMsMax: 2_000,
    probes: {
      auditUnavailable: () => state.auditDown,
      auditWaiting: () => ({ bytes: 17, lagMs: 250 }),
      storeUnavailable: () => state.storeDown,
    },
    notices,
    clock,
    steadyClock,
    random,
    record: ({ rule, value }, transition: Transition) => void told.push(`${rule} ${transition} ${value}`),
    ...change,
  })
  watch.followLimiter(() => state.local)
  const refuse = (times: number, code: ErrorCode, detail: FaultDetail = {}) => {
    for (let at = 0; at < times; at++) watch.refused(new Fault(code, detail), undefined, 0)
  }
  const pass = (ms: number) => {
    state.now += ms
    watch.tick(0)
  }
  return { watch, state, told, refuse, pass }
}
const lines = (text: string, name: string) => text.split('\n').filter((line) => line.startsWith(name))

describe('A20: the alerts', () => {
  test.each<[string, ErrorCode, FaultDetail, number]>([
    ['authentication-failures', 'credential.missing', {}, 10],
    ['rate-limit', 'rate.exceeded', { reason: 'calls' }, 50],
    ['session-violations', 'session.unknown', {}, 20],
  ])('%s fires at its threshold within a minute, and not below', (rule, code, detail, threshold) => {
    const { told, refuse, pass } = watching()
    refuse(threshold - 1, code, detail)
    pass(500)
    expect(told).toEqual([])
    pass(61_000)
    refuse(threshold, code, detail)
    pass(500)
    expect(told).toEqual([`${rule} firing ${threshold}`])
    pass(61_000)
    pass(59_000)
    expect(told).toHaveLength(1)
    pass(1_000)
    expect(told).toEqual([`${rule} firing ${threshold}`, `${rule} resolved ${threshold}`])
  })

  test('invalid-keys fires at 100 within an hour', () => {
    const { told, refuse, pass } = watching()
    for (let minute = 0; minute < 49; minute++) {
      refuse(2, 'credential.invalid', { reason: 'unknown' })
      pass(60_000)
    }
    expect(told).toEqual([])
    refuse(2, 'credential.invalid', { reason: 'unknown' })
    pass(500)
    expect(told).toEqual(['invalid-keys firing 100'])
  })

  test('a secret that was replaced, a changed audit log and a clock that was set fire by themselves', () => {
    const { watch, state, told, refuse, pass } = watching()
    refuse(1, 'credential.invalid', { reason: 'retired-secret' })
    watch.happened('audit-tampered')
    state.ahead -= 5_001
    pass(500)
    expect(told).toEqual(['retired-secret firing 1', 'audit-tampered firing 1', 'clock-jump firing 1'])
    state.ahead += 5_000
    pass(3_540_000)
    expect(told).toHaveLength(3)
    pass(60_000)
    expect(told.slice(3)).toEqual(['retired-secret resolved 1', 'audit-tampered resolved 1', 'clock-jump resolved 1'])
  })

  test('RL-02: an audit log that cannot be written fires at once; a store, a limiter that is alone when it lasts', () => {
    const { state, told, pass } = watching()
    Object.assign(state, { auditDown: true, storeDown: true, local: true })
    pass(500)
    expect(told).toEqual(['audit-unavailable firing 1'])
    pass(2_000)
    expect(told.slice(1)).toEqual(['store-unavailable firing 1'])
    pass(3_000)
    expect(told.slice(2)).toEqual(['limiter-local firing 1'])
    Object.assign(state, { auditDown: false, storeDown: false, local: false })
    pass(500)
    pass(30_000)
    expect(told.slice(3)).toEqual([
      'audit-unavailable resolved 1',
      'store-unavailable resolved 1',
      'limiter-local resolved 1',
    ])
  })

  test('a server that cannot keep up fires at the delay beyond which it refuses', () => {
    const { watch, told } = watching()
    watch.tick(1_999)
    expect(told).toEqual([])
    watch.tick(2_000)
    expect(told).toEqual(['event-loop-delay firing 2000'])
  })

  test('a webhook that takes nothing is an alert of its own, which is not sent there', async () => {
    const sent: string[] = []
    const { told, refuse, pass } = watching({
      post: async (body) => {
        sent.push(JSON.parse(body).data.alert.rule)
        return 500
      },
    })
    refuse(10, 'credential.missing')
    pass(0)
    for (let tries = 0; tries < 7; tries++) {
      pass(600_000)
      await new Promise(setImmediate)
    }
    pass(500)
    expect(told).toContain('webhook-failing firing 1')
    expect(sent).not.toContain('webhook-failing')
  })
})

describe('A20: the numbers', () => {
  test('the four counters have their names in both forms', () => {
    const { watch, refuse } = watching()
    refuse(1, 'credential.missing')
    refuse(2, 'credential.invalid', { reason: 'unknown' })
    refuse(4, 'rate.exceeded', { reason: 'failed-authentication' })
    refuse(8, 'rate.exceeded', { reason: 'calls' })
    refuse(16, 'session.unknown', { reason: 'session' })
    expect(watch.metricsSnapshot()).toMatchObject({
      since: 1_800_001_000_000,
      authenticationFailures: 7,
      rateLimitExceeded: 12,
      invalidApiKeys: 6,
      sessionViolations: 16,
    })
    const text = watch.metricsText()
    expect(lines(text, 'merlon_authentication_failures_total')).toEqual(['merlon_authentication_failures_total 7'])
    expect(lines(text, 'merlon_rate_limit_exceeded_total')).toEqual(['merlon_rate_limit_exceeded_total 12'])
    expect(lines(text, 'merlon_invalid_api_keys_total')).toEqual(['merlon_invalid_api_keys_total 6'])
    expect(lines(text, 'merlon_session_violations_total')).toEqual(['merlon_session_violations_total 16'])
    expect(lines(text, 'merlon_refusals_total')).toEqual([
      'merlon_refusals_total{code="credential.missing",reason=""} 1',
      'merlon_refusals_total{code="credential.invalid",reason="unknown"} 2',
      'merlon_refusals_total{code="rate.exceeded",reason="failed-authentication"} 4',
      'merlon_refusals_total{code="rate.exceeded",reason="calls"} 8',
      'merlon_refusals_total{code="session.unknown",reason="session"} 16',
    ])
  })

  test('AL-04: what an authenticator of the project says, and what is no word, is not a label', () => {
    const { watch, refuse } = watching()
    refuse(1, 'credential.invalid', { reason: 'token-canary' })
    refuse(1, 'header.mismatch', { reason: 'canary "\n' })
    refuse(1, 'header.mismatch', { reason: 'Mcp-Name' })
    expect(lines(watch.metricsText(), 'merlon_refusals_total')).toEqual([
      'merlon_refusals_total{code="credential.invalid",reason="other"} 1',
      'merlon_refusals_total{code="header.mismatch",reason="other"} 1',
      'merlon_refusals_total{code="header.mismatch",reason="Mcp-Name"} 1',
    ])
    for (let at = 0; at < 1_000; at++) refuse(1, 'header.mismatch', { reason: `word${at}` })
    expect(lines(watch.metricsText(), 'merlon_refusals_total')).toHaveLength(512)
  })

  test('a call is counted under its method, its end and its tool, and timed by what was decided', () => {
    const { watch } = watching()
    const call = watch.method('tools/call')
    watch.called(call, 'completed', 3, 'echo', 't1', undefined)
    watch.called(call, 'failed', -5, 'echo', 't1', new Fault('tool.timeout'))
    watch.refused(new Fault('scope.missing'), 'tools/call', 1)
    watch.refused(new Fault('method.unknown'), 'canary', 1)
    const text = watch.metricsText()
    expect(lines(text, 'merlon_calls_total')).toEqual([
      'merlon_calls_total{method="other",outcome="refused"} 1',
      'merlon_calls_total{method="tools/call",outcome="completed"} 1',
      'merlon_calls_total{method="tools/call",outcome="failed"} 1',
      'merlon_calls_total{method="tools/call",outcome="refused"} 1',
    ])
    expect(text).toContain('merlon_call_duration_seconds_sum{method="tools/call",decision="allowed"} 0.003\n')
    expect(text).toContain('merlon_call_duration_seconds_bucket{method="tools/call",decision="allowed",le="0.001"} 1\n')
    expect(text).toContain('merlon_call_duration_seconds_count{method="tools/call",decision="denied"} 1\n')
    expect(lines(text, 'merlon_tool')).toEqual([
      'merlon_tool_calls_total{tool="echo",outcome="completed"} 1',
      'merlon_tool_calls_total{tool="echo",outcome="failed"} 1',
      'merlon_tool_seconds_total{tool="echo",outcome="completed"} 0.003',
    ])
    expect(lines(text, 'merlon_faults_total')).toEqual(['merlon_faults_total{code="tool.timeout"} 1'])
    expect(text).not.toContain('tenant')
    expect(text).not.toContain('canary')
  })

  test('tools and tenants are counted where the configuration says so', () => {
    const { watch } = watching({ tools: false, tenants: true })
    watch.called(watch.method('tools/call'), 'completed', 3, 'echo', 't1', undefined)
    const text = watch.metricsText()
    expect(text).not.toContain('merlon_tool')
    expect(lines(text, 'merlon_tenant_calls_total')).toEqual([
      'merlon_tenant_calls_total{tenant="t1",outcome="completed"} 1',
    ])
  })

  test('what changes by itself is read when it is asked for', () => {
    const { watch, state } = watching()
    watch.followServing({ streams: () => 3, calls: () => 4 })
    watch.followCertificate(() => 1_800_000_000_000)
    watch.sawSessions(5)
    watch.tick(20)
    state.storeDown = true
    state.local = true
    const text = watch.metricsText()
    for (const line of [
      'merlon_streams 3',
      'merlon_calls_running 4',
      'merlon_sessions 5',
      'merlon_certificate_ends_seconds 1800000000',
      'merlon_audit_up 1',
      'merlon_audit_lag_seconds 0.25',
      'merlon_audit_waiting_bytes 17',
      'merlon_store_up 0',
      'merlon_rate_limit_local 1',
      'merlon_event_loop_delay_seconds 0.02',
      'merlon_build_info{version="1.2.3"} 1',
      'merlon_alerts_firing{rule="rate-limit",severity="warning"} 0',
      'merlon_alert_notices_total{result="given_up"} 0',
    ])
      expect(text.split('\n')).toContain(line)
    for (const name of ['process_cpu_seconds_total', 'process_resident_memory_bytes', 'nodejs_heap_size_used_bytes'])
      expect(text).toMatch(new RegExp(`^${name} [0-9.]+$`, 'm'))
  })
})

test('A13: health tells which part is out, to whoever may know', () => {
  const { watch, state, refuse, pass } = watching()
  expect(watch.health()).toEqual({
    status: 'ok',
    audit: 'ok',
    store: 'ok',
    limiter: 'ok',
    eventLoopDelayMs: 0,
    alertsFiring: 0,
  })
  refuse(10, 'credential.missing')
  pass(0)
  expect(watch.health()).toMatchObject({ status: 'ok', alertsFiring: 1 })
  for (const [part, name, is] of [
    ['auditDown', 'audit', 'unavailable'],
    ['storeDown', 'store', 'unavailable'],
    ['local', 'limiter', 'local'],
  ] as const) {
    expect(watch.isWell()).toBe(true)
    state[part] = true
    // A limiter that counts alone still limits.
    expect(watch.isWell()).toBe(part === 'local')
    expect(watch.health()).toMatchObject({ status: 'degraded', [name]: is })
    state[part] = false
  }
})
