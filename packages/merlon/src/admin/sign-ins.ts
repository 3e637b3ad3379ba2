import * as z from 'zod'
import type { SignIn } from '../identity/sign-in-store.ts'
import { type Operation, operation, read, write } from './operation.ts'
import { page, pageOf, paging } from './page.ts'
import { done } from './refused.ts'
import { byId, id, maybeTime, tenantId, time, timeOf } from './shapes.ts'

const signIn = z.strictObject({
  id,
  tenant: tenantId,
  user: id,
  address: z.string().optional().describe('From where.'),
  createdAt: time,
  expiresAt: time,
  revokedAt: time.optional(),
})

function show({ id, tenant, user, address, createdAt, expiresAt, revokedAt }: SignIn): z.input<typeof signIn> {
  const revoked = maybeTime(revokedAt)
  return {
    id,
    tenant,
    user,
    ...(address === undefined ? {} : { address }),
    createdAt: timeOf(createdAt),
    expiresAt: timeOf(expiresAt),
    ...(revoked === undefined ? {} : { revokedAt: revoked }),
  }
}

export const signInOperations: readonly Operation[] = [
  operation({
    name: 'sign-ins.list',
    method: 'GET',
    path: '/api/sign-ins',
    summary: 'Lists sign-ins, ended ones included: for an administrator those of the tenant, for others their own.',
    access: read,
    query: z.strictObject({ tenant: tenantId.optional(), user: id.optional(), ...paging }),
    answer: pageOf(signIn),
    run: (context, { query }) =>
      page(
        context,
        'sign-ins.list',
        query,
        (at) => context.parts.signIns.list({ tenant: query.tenant, user: query.user, ...at }, context.actor),
        show,
      ),
  }),
  operation({
    name: 'sign-ins.revoke',
    method: 'DELETE',
    path: '/api/sign-ins/{id}',
    summary: 'Ends a sign-in: its tokens are refused from the next call on.',
    access: write,
    refuses: ['change.forbidden', 'entry.unknown'],
    params: byId,
    run: async ({ parts, actor }, { params }) => {
      done(await parts.signIns.revoke(params.id, actor))
    },
  }),
  operation({
    name: 'sign-ins.revoke-all',
    method: 'DELETE',
    path: '/api/users/{id}/sign-ins',
    summary: 'Ends all sign-ins of a user.',
    access: write,
    status: 200,
    refuses: ['change.forbidden', 'entry.unknown'],
    params: byId,
    answer: z.strictObject({ ended: z.int().describe('How many were open.') }),
    run: async ({ parts, actor }, { params }) => ({
      ended: done(await parts.signIns.revokeAll(params.id, actor)).count,
    }),
  }),
]
