import * as z from 'zod'
import type { SubjectBlock } from '../identity/subject-store.ts'
import { admin, type Operation, operation } from './operation.ts'
import { page, pageOf, paging } from './page.ts'
import { done } from './refused.ts'
import { byId, id, tenantId, text, time, timeOf } from './shapes.ts'

const issuer = text(2_048).describe('As the configuration names it; `iss` in its tokens.')
const subject = text(255).describe('`sub` in its tokens.')

const block = z.strictObject({
  id,
  issuer,
  subject,
  tenant: tenantId.optional().describe('Where. Absent: in every tenant.'),
  blockedBy: z.string().describe('Who did it.'),
  blockedAt: time,
})

function show({ id, issuer, subject, tenant, by, blockedAt }: SubjectBlock): z.input<typeof block> {
  return {
    id,
    issuer,
    subject,
    ...(tenant === undefined ? {} : { tenant }),
    blockedBy: by,
    blockedAt: timeOf(blockedAt),
  }
}

export const subjectOperations: readonly Operation[] = [
  operation({
    name: 'subjects.list',
    method: 'GET',
    path: '/api/blocked-subjects',
    summary: 'Lists blocked subjects of other issuers: all for an operator, for others those of their tenant.',
    access: admin,
    query: z.strictObject({
      tenant: tenantId.optional(),
      issuer: issuer.optional(),
      subject: subject.optional(),
      ...paging,
    }),
    answer: pageOf(block),
    run: (context, { query }) =>
      page(
        context,
        'subjects.list',
        query,
        (at) => {
          const { tenant, issuer, subject } = query
          return context.parts.subjects.list({ tenant, issuer, subject, ...at }, context.actor)
        },
        show,
      ),
  }),
  operation({
    name: 'subjects.block',
    method: 'POST',
    path: '/api/blocked-subjects',
    summary: 'Blocks a subject of another issuer: its tokens are refused from the next call on, and its streams end.',
    access: admin,
    status: 201,
    creates: true,
    refuses: ['change.forbidden', 'entry.unknown'],
    body: z.strictObject({
      issuer,
      subject,
      tenant: tenantId.optional().describe('Where. Default: in your tenant, for an operator in every one.'),
    }),
    answer: block,
    run: async ({ parts, actor }, { body }) => show(done(await parts.subjects.block(body, actor)).block),
  }),
  operation({
    name: 'subjects.unblock',
    method: 'DELETE',
    path: '/api/blocked-subjects/{id}',
    summary: 'Lifts a block. Where no other stands, the tokens of the subject are taken again.',
    access: admin,
    refuses: ['entry.unknown'],
    params: byId,
    run: async ({ parts, actor }, { params }) => {
      done(await parts.subjects.unblock(params.id, actor))
    },
  }),
]
