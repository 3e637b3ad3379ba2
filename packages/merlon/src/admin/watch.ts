import * as z from 'zod'
import { Fault } from '../errors.ts'
import type { Alert } from '../watch/alerts.ts'
import { type Operation, operation, read, write } from './operation.ts'
import { page, pageOf, paging } from './page.ts'
import { byId, id, maybeTime, time, timeOf } from './shapes.ts'

const alert = z.strictObject({
  id,
  rule: z.string(),
  severity: z.enum(['warning', 'critical']),
  state: z.enum(['pending', 'firing', 'resolved']),
  says: z.string(),
  fix: z.string(),
  threshold: z.number(),
  value: z.number().describe('The highest that was seen.'),
  startedAt: time,
  firedAt: time.optional(),
  resolvedAt: time.optional(),
  acknowledgedAt: time.optional(),
  acknowledgedBy: z.string().optional(),
})

function show(found: Alert): z.input<typeof alert> {
  const { id, rule, severity, state, says, fix, threshold, value, startedAt, acknowledgedBy } = found
  const firedAt = maybeTime(found.firedAt)
  const resolvedAt = maybeTime(found.resolvedAt)
  const acknowledgedAt = maybeTime(found.acknowledgedAt)
  return {
    id,
    rule,
    severity,
    state,
    says,
    fix,
    threshold,
    value,
    startedAt: timeOf(startedAt),
    ...(firedAt === undefined ? {} : { firedAt }),
    ...(resolvedAt === undefined ? {} : { resolvedAt }),
    ...(acknowledgedAt === undefined ? {} : { acknowledgedAt }),
    ...(acknowledgedBy === undefined ? {} : { acknowledgedBy }),
  }
}

/* What is watched is the server as a whole, so that a number of one tenant could tell another what happens there. */
const forOperators = { access: read, reach: 'installation' } as const
/** A key that Prometheus has need reach nothing else. */
const forMonitors = { access: { scope: 'metrics' }, reach: 'installation', always: true } as const

export const watchOperations: readonly Operation[] = [
  operation({
    name: 'alerts.list',
    method: 'GET',
    path: '/api/alerts',
    summary: 'Lists alerts: what is open, then what is over, the newest first.',
    ...forOperators,
    always: true,
    query: z.strictObject(paging),
    answer: pageOf(alert),
    run: (context, { query }) =>
      page(
        context,
        'alerts.list',
        query,
        ({ after, limit }) => {
          const all = context.parts.watch?.alerts.list() ?? []
          const from = after === undefined ? 0 : all.findIndex((each) => each.id === after) + 1
          return all.slice(from, from + limit)
        },
        show,
      ),
  }),
  operation({
    name: 'alerts.acknowledge',
    method: 'POST',
    path: '/api/alerts/{id}/acknowledge',
    summary: 'Says that you have taken the alert on. Done twice it stays with the first.',
    access: write,
    reach: 'installation',
    status: 200,
    refuses: ['entry.unknown'],
    params: byId,
    answer: alert,
    run: async ({ parts, actor }, { params }) => {
      const { audit, watch } = parts
      if (watch?.alerts.find(params.id) === undefined) throw new Fault('entry.unknown', { reason: 'alert' })
      const line = { type: 'access', level: 'info', action: 'alert.acknowledge', by: actor.id } as const
      await audit.commit({ ...line, success: true, target: params.id, outcome: 'intended' })
      const acknowledged = watch.alerts.acknowledge(params.id, actor.id)
      await audit.commit({
        ...line,
        success: acknowledged !== undefined,
        target: params.id,
        outcome: acknowledged === undefined ? 'refused' : 'done',
      })
      if (acknowledged === undefined) throw new Fault('entry.unknown', { reason: 'alert' })
      return show(acknowledged)
    },
  }),
  operation({
    name: 'metrics.get',
    method: 'GET',
    path: '/metrics',
    summary: 'The numbers of this process, for Prometheus.',
    ...forMonitors,
    media: 'text/plain; version=0.0.4; charset=utf-8',
    run: ({ parts }) => ({
      text: parts.watch?.metricsText() ?? '',
      type: 'text/plain; version=0.0.4; charset=utf-8',
    }),
  }),
  operation({
    name: 'metrics.signals',
    method: 'GET',
    path: '/api/metrics',
    summary: 'How often callers were refused since the process began, by what it is a sign of.',
    ...forMonitors,
    refuses: ['entry.unknown'],
    answer: z.strictObject({
      since: time,
      authenticationFailures: z.int(),
      rateLimitExceeded: z.int(),
      invalidApiKeys: z.int(),
      sessionViolations: z.int(),
    }),
    run({ parts }) {
      if (parts.watch === undefined) throw new Fault('entry.unknown', { reason: 'not-serving' })
      const { since, authenticationFailures, rateLimitExceeded, invalidApiKeys, sessionViolations } =
        parts.watch.metricsSnapshot()
      return { since: timeOf(since), authenticationFailures, rateLimitExceeded, invalidApiKeys, sessionViolations }
    },
  }),
  operation({
    name: 'health.get',
    method: 'GET',
    path: '/api/health',
    summary: 'How the parts of this process are.',
    ...forOperators,
    always: true,
    answer: z.strictObject({
      status: z.enum(['ok', 'degraded', 'not serving']),
      audit: z.enum(['ok', 'unavailable']).optional(),
      store: z.enum(['ok', 'unavailable']).optional(),
      limiter: z.enum(['ok', 'local']).optional(),
      eventLoopDelayMs: z.number().optional(),
      alertsFiring: z.int().optional(),
    }),
    run: ({ parts }) => parts.watch?.health() ?? { status: 'not serving' as const },
  }),
  operation({
    name: 'health.alive',
    method: 'GET',
    path: '/health',
    summary: 'Says that it is there, and nothing else.',
    access: 'open',
    always: true,
    answer: z.strictObject({ status: z.literal('ok') }),
    run: () => ({ status: 'ok' as const }),
  }),
]
