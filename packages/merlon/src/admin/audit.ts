import * as z from 'zod'
import type { AuditFilter, AuditReach } from '../audit/audit-reader.ts'
import { parseHead } from '../audit/head.ts'
import { Fault } from '../errors.ts'
import { everyTenant } from '../identity/reach.ts'
import { invalid } from './fields.ts'
import { admin, type ControlContext, type Operation, operation } from './operation.ts'
import { cursorOf, paging, place } from './page.ts'
import { tenantId, time } from './shapes.ts'

const text = z.string().min(1).max(256).optional()
const moment = time.optional()
const flag = z.preprocess((value) => (value === 'true' ? true : value === 'false' ? false : value), z.boolean())

/** What is given must be equal: a pattern, or a sign of one, is text like any other. */
const filter = {
  tenant: tenantId.optional(),
  from: moment.describe('The first moment that counts, in UTC, as 2026-11-22T08:00:00Z.'),
  to: moment.describe('The first moment that counts no longer, in the same form.'),
  type: text.describe('The sort of record, as tool_access.'),
  level: text.describe('One of info, warn and error.'),
  success: flag.optional().describe('Only what was done, or only what was not.'),
  requestId: text.describe('The id that the answer had in X-Request-Id.'),
  clientId: text.describe('The public id of a credential.'),
  principal: text.describe('The id of the user or agent who called.'),
  key: text.describe('The id of the key that was changed.'),
  action: text.describe('What was changed, as user.disable.'),
  by: text.describe('Who changed it: the id of a user, or local-operator.'),
  target: text.describe('The resource or prompt that was asked for.'),
  method: text.describe('The method or operation, as tools/call.'),
  tool: text.describe('The name of a tool.'),
  code: text.describe('What the caller was told, as RATE_LIMITED.'),
  ip: text.describe('The address of the caller.'),
}

type Filter = z.output<z.ZodObject<typeof filter>>

function reachOf({ actor }: ControlContext, tenant: string | undefined): AuditReach | undefined {
  if (actor.tenant === everyTenant) return tenant === undefined ? { everyTenant: true } : { tenant }
  return tenant === undefined || tenant === actor.tenant ? { tenant: actor.tenant } : undefined
}

/** `undefined`: nothing of what is asked for is within reach, as where there is none. */
function filterOf(context: ControlContext, { tenant, from, to, ...equal }: Filter): AuditFilter | undefined {
  const reach = reachOf(context, tenant)
  if (reach === undefined) return undefined
  return {
    reach,
    ...equal,
    ...(from === undefined ? {} : { from: Date.parse(from) }),
    ...(to === undefined ? {} : { to: Date.parse(to) }),
  }
}

const forOperators = { access: admin, reach: 'installation' } as const

const head = z.strictObject({
  log: z.string().describe('The identity of the log.'),
  size: z.int().describe('How many records it covers.'),
  root: z.string().describe('The root of the Merkle tree over them (RFC 6962).'),
  at: z.string(),
  keyId: z.string(),
  signature: z.string().describe('Ed25519, base64url.'),
})

const record = z
  .looseObject({
    seq: z.int(),
    timestamp: z.string(),
    type: z.string(),
    success: z.boolean(),
    level: z.string(),
  })
  .describe('A record as it stands in the log.')

export const auditOperations: readonly Operation[] = [
  operation({
    name: 'audit.query',
    method: 'GET',
    path: '/api/audit',
    summary: 'Lists records of the audit log, the newest first. A page may be short and still have a `next`.',
    access: admin,
    query: z.strictObject({ ...filter, ...paging }),
    answer: z.strictObject({ items: z.array(record), next: z.string().optional() }),
    run: async (context, { query }) => {
      const { limit = 50, cursor, ...rest } = query
      const wanted = filterOf(context, rest)
      const boundTo = place(context, 'audit.query', rest)
      const after = cursorOf(context, cursor, boundTo)
      if (wanted === undefined) return { items: [] }
      const { records, next } = await context.parts.auditReader.query({ ...wanted, limit, after })
      return {
        items: [...records],
        ...(next === undefined ? {} : { next: context.parts.cursors.seal(next, boundTo) }),
      }
    },
  }),
  operation({
    name: 'audit.export',
    method: 'GET',
    path: '/api/audit/export',
    summary: 'All records that fit, oldest first, as JSON lines or CSV.',
    access: admin,
    confirmed: true,
    media: 'application/jsonl; charset=utf-8',
    query: z.strictObject({ ...filter, format: z.enum(['jsonl', 'csv']).optional() }),
    run: (context, { query }) => {
      const { format = 'jsonl', ...rest } = query
      const wanted = filterOf(context, rest)
      const type = format === 'csv' ? 'text/csv; charset=utf-8' : 'application/jsonl; charset=utf-8'
      return { text: wanted === undefined ? '' : context.parts.auditReader.export(wanted, format), type }
    },
  }),
  operation({
    name: 'audit.head',
    method: 'GET',
    path: '/api/audit/head',
    summary: 'The newest signed head of the log. Keep it elsewhere: it proves later what the log said.',
    ...forOperators,
    refuses: ['entry.unknown'],
    answer: head,
    run: async ({ parts }) => {
      const newest = await parts.auditReader.head()
      if (newest === undefined) throw new Fault('entry.unknown', { reason: 'unsigned' })
      return newest
    },
  }),
  operation({
    name: 'audit.key',
    method: 'GET',
    path: '/api/audit/key',
    summary: 'The public key that heads are verified with.',
    ...forOperators,
    confirmed: true,
    answer: z.strictObject({ algorithm: z.literal('Ed25519'), publicKey: z.string().describe('PEM.') }),
    run: ({ parts }) => ({ algorithm: 'Ed25519' as const, publicKey: parts.auditReader.publicKey }),
  }),
  operation({
    name: 'audit.verify',
    method: 'POST',
    path: '/api/audit/verify',
    summary: 'Reads the whole log and checks chain, tree and heads; also against heads that you kept.',
    ...forOperators,
    body: z.strictObject({ heads: z.array(z.unknown()).max(100).optional() }).optional(),
    answer: z.strictObject({
      ok: z.boolean(),
      records: z.int(),
      problems: z.array(
        z.strictObject({
          kind: z.string(),
          log: z.string().optional(),
          seq: z.int().optional(),
          file: z.string().optional(),
          line: z.int().optional(),
          says: z.string(),
        }),
      ),
      logs: z.array(
        z.strictObject({
          log: z.string(),
          first: z.int(),
          size: z.int(),
          signed: z.int(),
          segments: z.int(),
        }),
      ),
    }),
    run: async ({ parts }, { body }) => {
      const kept = (body?.heads ?? []).map((given, at) => {
        const parsed = parseHead(given)
        if (parsed === undefined)
          throw invalid([{ path: `body.heads[${at}]`, says: 'not a signed head', expected: 'as audit.head answers' }])
        return parsed
      })
      const { ok, records, problems, logs } = await parts.auditReader.verify(kept)
      return {
        ok,
        records,
        problems: problems.map(({ kind, says, log, seq, file, line }) => ({
          kind,
          says,
          ...(log === undefined ? {} : { log }),
          ...(seq === undefined ? {} : { seq }),
          ...(file === undefined ? {} : { file }),
          ...(line === undefined ? {} : { line }),
        })),
        logs: logs.map(({ log, first, size, signed, segments }) => ({ log, first, size, signed, segments })),
      }
    },
  }),
]
