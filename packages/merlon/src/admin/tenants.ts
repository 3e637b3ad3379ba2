import * as z from 'zod'
import type { Tenant } from '../identity/tenant-store.ts'
import { admin, type Operation, operation } from './operation.ts'
import { page, pageOf, paging } from './page.ts'
import { done } from './refused.ts'
import { byId, given, name, scopes, tenantId, time, timeOf, version } from './shapes.ts'

const limit = scopes.describe('What credentials of the tenant are limited to. An empty list: nothing.')

const tenant = z.strictObject({
  id: tenantId,
  name: z.string().describe('For people to read.'),
  status: z.enum(['active', 'suspended']),
  scopes: limit.optional(),
  createdAt: time,
  updatedAt: time,
  version,
})

function show({ id, name, status, scopes, createdAt, updatedAt, version }: Tenant): z.input<typeof tenant> {
  return {
    id,
    name,
    status,
    ...(scopes === undefined ? {} : { scopes: [...scopes] }),
    createdAt: timeOf(createdAt),
    updatedAt: timeOf(updatedAt),
    version,
  }
}

export const tenantOperations: readonly Operation[] = [
  operation({
    name: 'tenants.list',
    method: 'GET',
    path: '/api/tenants',
    summary: 'Lists tenants: all for an operator, for others their own.',
    access: admin,
    query: z.strictObject(paging),
    answer: pageOf(tenant),
    run: (context, { query }) =>
      page(context, 'tenants.list', query, (at) => context.parts.tenants.list(at, context.actor), show),
  }),
  operation({
    name: 'tenants.create',
    method: 'POST',
    path: '/api/tenants',
    summary: 'Makes a tenant.',
    access: admin,
    reach: 'installation',
    status: 201,
    creates: true,
    refuses: ['change.conflict'],
    body: z.strictObject({
      id: tenantId,
      name: name.optional().describe('Default: the id.'),
      scopes: limit.optional().describe('Absent: no limit beyond role and credential.'),
    }),
    answer: tenant,
    run: async ({ parts, actor }, { body }) => show(done(await parts.tenants.create(body, actor)).tenant),
  }),
  operation({
    name: 'tenants.get',
    method: 'GET',
    path: '/api/tenants/{id}',
    summary: 'Shows a tenant.',
    access: admin,
    refuses: ['entry.unknown'],
    params: byId,
    answer: tenant,
    run: async ({ parts, actor }, { params }) => show(done(await parts.tenants.get(params.id, actor)).tenant),
  }),
  operation({
    name: 'tenants.update',
    method: 'PATCH',
    path: '/api/tenants/{id}',
    summary:
      'Changes name, status or limit of a tenant. Suspended, its credentials are refused. `"scopes": null` lifts the limit.',
    access: admin,
    reach: 'installation',
    versioned: true,
    refuses: ['change.conflict', 'entry.unknown'],
    params: byId,
    body: z.strictObject({
      name: name.optional(),
      status: z.enum(['active', 'suspended']).optional(),
      scopes: limit.nullable().optional(),
    }),
    answer: tenant,
    run: async ({ parts, actor }, { params, body, version }) =>
      show(done(await parts.tenants.update(params.id, given(body), actor, version)).tenant),
  }),
]
