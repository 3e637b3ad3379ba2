import * as z from 'zod'
import type { Agent, Json } from '../identity/agent-store.ts'
import { type Operation, operation, read, write } from './operation.ts'
import { page, pageOf, paging } from './page.ts'
import { done } from './refused.ts'
import { byId, given, id, name, tenantId, time, timeOf, version } from './shapes.ts'

const status = z.enum(['active', 'inactive', 'error']).describe('Its keys are good only while it is active.')
const type = z.string().min(1).max(64).describe('As `assistant`.')
const capabilities = z
  .array(z.string().min(1).max(128))
  .max(100)
  .describe('What it says it can do. Never a ground for a decision about rights.')
const metadata = z
  .record(z.string().min(1).max(128), z.unknown())
  .describe('At most 8,192 bytes of JSON, for your own use.')

const agent = z.strictObject({
  id,
  tenant: tenantId,
  owner: id.describe('The user it belongs to; their role bounds what it may do.'),
  name: z.string(),
  type: z.string(),
  capabilities: z.array(z.string()),
  metadata: z.record(z.string(), z.unknown()),
  status,
  createdAt: time,
  updatedAt: time,
  version,
})

function show(found: Agent): z.input<typeof agent> {
  const { id, tenant, owner, name, type, capabilities, metadata, status, createdAt, updatedAt, version } = found
  return {
    id,
    tenant,
    owner,
    name,
    type,
    capabilities: [...capabilities],
    metadata,
    status,
    createdAt: timeOf(createdAt),
    updatedAt: timeOf(updatedAt),
    version,
  }
}

export const agentOperations: readonly Operation[] = [
  operation({
    name: 'agents.list',
    method: 'GET',
    path: '/api/agents',
    summary: 'Lists agents: for an administrator those of the tenant, for others their own.',
    access: read,
    query: z.strictObject({ tenant: tenantId.optional(), owner: id.optional(), ...paging }),
    answer: pageOf(agent),
    run: (context, { query }) =>
      page(
        context,
        'agents.list',
        query,
        (at) => context.parts.agents.list({ tenant: query.tenant, owner: query.owner, ...at }, context.actor),
        show,
      ),
  }),
  operation({
    name: 'agents.create',
    method: 'POST',
    path: '/api/agents',
    summary: 'Makes an agent.',
    access: write,
    status: 201,
    creates: true,
    refuses: ['change.forbidden', 'change.conflict', 'entry.unknown'],
    body: z.strictObject({
      name,
      type,
      capabilities: capabilities.optional(),
      metadata: metadata.optional(),
      status: status.optional(),
      owner: id.optional().describe('The user it belongs to. Default: you.'),
    }),
    answer: agent,
    run: async ({ parts, actor }, { body }) =>
      show(done(await parts.agents.create({ ...body, metadata: body.metadata as Metadata }, actor)).agent),
  }),
  operation({
    name: 'agents.get',
    method: 'GET',
    path: '/api/agents/{id}',
    summary: 'Shows an agent.',
    access: read,
    refuses: ['entry.unknown'],
    params: byId,
    answer: agent,
    run: async ({ parts, actor }, { params }) => show(done(await parts.agents.get(params.id, actor)).agent),
  }),
  operation({
    name: 'agents.update',
    method: 'PATCH',
    path: '/api/agents/{id}',
    summary: 'Changes an agent. What is absent stays.',
    access: write,
    versioned: true,
    refuses: ['change.forbidden', 'change.conflict', 'entry.unknown'],
    params: byId,
    body: z.strictObject({
      name: name.optional(),
      type: type.optional(),
      capabilities: capabilities.optional(),
      metadata: metadata.optional(),
      status: status.optional(),
    }),
    answer: agent,
    run: async ({ parts, actor }, { params, body, version }) =>
      show(
        done(
          await parts.agents.update(params.id, given({ ...body, metadata: body.metadata as Metadata }), actor, version),
        ).agent,
      ),
  }),
  operation({
    name: 'agents.remove',
    method: 'DELETE',
    path: '/api/agents/{id}',
    summary: 'Takes an agent away for good and revokes its keys.',
    access: write,
    refuses: ['change.forbidden', 'entry.unknown'],
    params: byId,
    run: async ({ parts, actor }, { params }) => {
      done(await parts.agents.remove(params.id, actor))
    },
  }),
]

type Metadata = { readonly [name: string]: Json } | undefined
