import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Control } from '../../packages/merlon/src/admin/control.ts'
import { httpControl } from '../../packages/merlon/src/admin/http-control.ts'
import { operations } from '../../packages/merlon/src/admin/operations.ts'
import { Target } from '../attack/harness.ts'
import { call, initialize, tool } from '../attack/request.ts'

/* Numbers, alerts, the request log and readiness, over real sockets. */

let target: Target
let control: Control
let url: string
const traceId = 'a'.repeat(32)
const traceparent = `00-${traceId}-${'b'.repeat(16)}-01`

beforeAll(async () => {
  target = await Target.open({
    admin: { port: 0 },
    metrics: { tenants: true },
    rateLimit: { callsMax: 1_000_000, failuresMax: 1_000, rules: [] },
  })
  control = httpControl({ socket: target.server.control.socket! })
  url = target.server.control.url!
  await control.call('users.create', { body: { tenant: 'tenant-a', name: 'watcher', role: 'operator' } })
})
afterAll(() => target.close())

async function keyOf(scopes: readonly string[], user = 'watcher', use = 'control'): Promise<string> {
  const name = `${user}-${use}-${scopes.join('-')}`
  const { body } = await control.call('api-keys.create', { body: { name, user, tenant: 'tenant-a', scopes, use } })
  return (body as { key: string }).key
}
const get = (path: string, key?: string) =>
  fetch(`${url}${path}`, key === undefined ? {} : { headers: { Authorization: `Bearer ${key}` } })
const refuse = async (times: number) => {
  for (let at = 0; at < times; at++) await target.send(call('tools/list', {}, { headers: { 'X-API-Key': 'mrl_bad' } }))
}
const lines = (text: string, begin: string) => text.split('\n').filter((line) => line.startsWith(begin))

test('what is answered while nothing can be recorded changes nothing', () => {
  const always = operations.filter((each) => each.always)
  expect(always.map(({ name }) => name)).toEqual([
    'alerts.list',
    'metrics.get',
    'metrics.signals',
    'health.get',
    'health.alive',
  ])
  expect(new Set(always.map(({ method }) => method))).toEqual(new Set(['GET']))
})

describe('AD-10: the metrics', () => {
  test('are for a key of the control plane that an operator of the installation made for them', async () => {
    const monitor = await keyOf(['metrics'])
    const answers = new Map<string, number>()
    for (const [who, key] of [
      ['nobody', undefined],
      ['a key for MCP', await keyOf(['admin'], 'watcher', 'mcp')],
      ['a reader', await keyOf(['read'])],
      ['an administrator of a tenant', await keyOf(['admin'], 'admin')],
      ['a monitor', monitor],
      ['an operator', await keyOf(['admin'])],
    ] as const)
      answers.set(who, (await get('/metrics', key)).status)
    expect(Object.fromEntries(answers)).toEqual({
      nobody: 401,
      'a key for MCP': 401,
      'a reader': 403,
      'an administrator of a tenant': 403,
      'a monitor': 200,
      'an operator': 200,
    })
    // With it nothing else is reached.
    expect((await get('/api/users', monitor)).status).toBe(403)
    expect((await get('/api/alerts', monitor)).status).toBe(403)
    expect((await get('/api/health', monitor)).status).toBe(403)
  })

  test('count what was done, by whom it may be counted', async () => {
    await target.send(tool('echo', {}, { as: 'A.write' }))
    await target.send(tool('no-such-tool', {}, { as: 'A.read' }))
    await target.send(initialize('B.read'))
    const answer = await get('/metrics', await keyOf(['metrics', 'read']))
    expect(answer.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8')
    const text = await answer.text()
    expect(text).toContain('merlon_tool_calls_total{tool="echo",outcome="completed"} 1\n')
    expect(text).toContain('merlon_calls_total{method="initialize",outcome="completed"} 1\n')
    expect(text).toContain('merlon_tenant_calls_total{tenant="tenant-b",outcome="completed"} 1\n')
    expect(text).toContain('merlon_refusals_total{code="tool.unknown",reason=""} 1\n')
    expect(text).not.toContain('no-such-tool')
    expect(text).toContain('merlon_audit_up 1\n')
    expect(text).toContain('merlon_store_up 1\n')
    for (const line of text.split('\n'))
      expect(line).toMatch(/^(?:|# (?:HELP|TYPE) [a-z_]+ .+|[a-z_]+(?:\{[^\n]*\})? (?:[0-9.e+-]+|NaN))$/)
  })
})

describe('A20: an alert', () => {
  test('fires, is seen, is taken on, and each step is on record', async () => {
    await refuse(10)
    const open = async () => {
      const { body } = await control.call('alerts.list')
      return (body as { items: readonly Record<string, unknown>[] }).items
    }
    let id = ''
    await target.settled(async () => {
      const found = (await open()).find(({ rule }) => rule === 'authentication-failures')
      expect(found).toMatchObject({ state: 'firing', severity: 'warning', threshold: 10 })
      id = String(found?.['id'])
    })
    const metrics = await (await get('/metrics', await keyOf(['metrics', 'write']))).text()
    expect(lines(metrics, 'merlon_alerts_firing{rule="authentication-failures"')).toEqual([
      'merlon_alerts_firing{rule="authentication-failures",severity="warning"} 1',
    ])
    expect(Number(lines(metrics, 'merlon_invalid_api_keys_total')[0]?.split(' ')[1])).toBeGreaterThanOrEqual(10)

    const { body: signs } = await control.call('metrics.signals')
    expect(signs).toMatchObject({
      since: expect.any(String),
      authenticationFailures: Number(lines(metrics, 'merlon_authentication_failures_total')[0]?.split(' ')[1]),
      invalidApiKeys: Number(lines(metrics, 'merlon_invalid_api_keys_total')[0]?.split(' ')[1]),
      rateLimitExceeded: 0,
      sessionViolations: 0,
    })

    await control.call('alerts.acknowledge', { params: { id } })
    expect(await open()).toContainEqual(expect.objectContaining({ id, acknowledgedBy: 'local-operator' }))
    await target.settled(() => {
      const steps = target
        .audit()
        .filter(({ type, target: rule }) => type === 'alert' && rule === 'authentication-failures')
      expect(steps).toEqual([
        expect.objectContaining({ action: 'firing', level: 'warn', outcome: id }),
        expect.objectContaining({ action: 'acknowledged', by: 'local-operator', outcome: id }),
      ])
    })
    await expect(control.call('alerts.acknowledge', { params: { id: 'alert_ffffffffffff' } })).rejects.toMatchObject({
      problem: { status: 404 },
    })
  })
})

describe('B9: the request log', () => {
  test('has a line for each request that failed, and for no other', async () => {
    target.log.length = 0
    await target.send(call('tools/list', {}, { as: 'A.read' }))
    await target.send({ verb: 'GET', path: '/nowhere?canary=1', headers: { 'X-Canary': 'canary' } })
    await target.send(tool('write_note', { text: 'canary' }, { as: 'A.read', headers: { traceparent } }))
    const requests = target.log.filter((line) => line.startsWith('warn request') || line.startsWith('info request'))
    expect(requests).toHaveLength(2)
    expect(requests[0]).toMatch(/verb: 'GET',\s+route: 'unknown',\s+status: 404/)
    expect(requests[1]).toMatch(/route: '\/mcp',\s+status: 403,\s+method: 'tools\/call'/)
    expect(requests[1]).toContain("code: 'INSUFFICIENT_SCOPE'")
    expect(requests[1]).toContain(`credential: '${target.key('A.read').id}'`)
    expect(requests[1]).toContain(`traceId: '${traceId}'`)
    expect(requests.join('\n')).not.toContain('canary')
  })
})

test('AL-09: a trace is in the record of its call, well-formed or not at all', async () => {
  const was = target.audit().length
  await target.send(tool('echo', {}, { as: 'A.read', headers: { traceparent } }))
  await target.send(tool('echo', {}, { as: 'A.read', headers: { traceparent: 'x' } }))
  await target.settled(() => {
    const calls = target
      .audit()
      .slice(was)
      .filter(({ tool }) => tool === 'echo')
    expect(calls.map(({ traceId: named }) => named)).toEqual([traceId, undefined])
  })
})

test('A13: readiness says whether calls are taken, and not why', async () => {
  const own = await Target.open({ admin: { port: 0 } })
  const ready = async () => {
    const { status, text } = await own.send({ verb: 'GET', path: '/ready' })
    return `${status} ${text}`
  }
  try {
    expect(await ready()).toBe('200 {"status":"ready"}')
    rmSync(join(own.folder, '.merlon', 'audit.jsonl'))
    await own.send(call('tools/list', {}, { as: 'A.read' }))
    await own.settled(async () => expect(await ready()).toBe('503 {"status":"not ready"}'))
    // What tells an operator why is answered, and nothing else is.
    const beside = httpControl({ socket: own.server.control.socket! })
    const { body } = await beside.call('health.get')
    expect(body).toMatchObject({ status: 'degraded', audit: 'unavailable', store: 'ok' })
    expect((await beside.call('metrics.get')).body).toContain('merlon_audit_up 0\n')
    await own.settled(async () =>
      expect(JSON.stringify((await beside.call('alerts.list')).body)).toContain('"rule":"audit-unavailable"'),
    )
    for (const name of ['users.list', 'tenants.list', 'api-keys.list'])
      await expect(beside.call(name), name).rejects.toMatchObject({
        problem: { status: 503, code: 'AUDIT_UNAVAILABLE' },
      })
  } finally {
    // Its last records have no log to go to, and that is told.
    await expect(own.close()).rejects.toMatchObject({ code: 'audit.unavailable' })
    rmSync(own.folder, { recursive: true, force: true })
  }
})
