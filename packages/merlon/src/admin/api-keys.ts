import * as z from 'zod'
import type { ApiKey } from '../identity/key-store.ts'
import type { IssuedKey, KeyListing, KeyOwner } from '../identity/keys.ts'
import { invalid } from './fields.ts'
import { type ControlContext, type Operation, operation, read, write } from './operation.ts'
import { page, pageOf, paging } from './page.ts'
import { done } from './refused.ts'
import { byId, given, id, maybeTime, name, scopes, tenantId, time, timeOf, version } from './shapes.ts'
import { homeOf } from './users.ts'

const use = z.enum(['mcp', 'control']).describe('Which door it opens: MCP or the control plane. It opens no other.')
const addressRanges = z
  .array(z.string().min(1).max(64))
  .max(64)
  .describe('Where it may be used from, as 192.0.2.0/24. An empty list: nowhere.')
const lifetime = z.string().min(1).max(16).describe('As 90d, 12h or 30m, from now.')

const members = {
  id,
  tenant: tenantId,
  owner: id.describe('The user it acts for, or whose agent it acts for.'),
  agent: id.optional(),
  use,
  name: z.string(),
  scopes: z.array(z.string()).describe('What it may do at most; role and tenant narrow it further.'),
  addressRanges: z.array(z.string()).optional(),
  isActive: z.boolean().describe('Whether it is neither switched off nor revoked.'),
  prefix: z.string().describe('How its text begins.'),
  last4: z.string().describe('How its text ends.'),
  createdAt: time,
  updatedAt: time,
  expiresAt: time,
  revokedAt: time.optional(),
  lastUsed: time.optional(),
  version,
}
const apiKey = z.strictObject(members)
const issuedKey = z.strictObject({ ...members, key: z.string().describe('The key itself. Shown this once.') })

function show(found: ApiKey): z.input<typeof apiKey> {
  const { id, tenant, owner, agent, use, name, scopes, addressRanges, active, last4, version } = found
  const revokedAt = maybeTime(found.revokedAt)
  const lastUsed = maybeTime(found.lastUsedAt)
  return {
    id,
    tenant,
    owner,
    ...(agent === undefined ? {} : { agent }),
    use,
    name,
    scopes: [...scopes],
    ...(addressRanges === undefined ? {} : { addressRanges: [...addressRanges] }),
    isActive: active && revokedAt === undefined,
    prefix: `mrl_${id.slice('key_'.length)}`,
    last4,
    createdAt: timeOf(found.createdAt),
    updatedAt: timeOf(found.updatedAt),
    expiresAt: timeOf(found.expiresAt),
    ...(revokedAt === undefined ? {} : { revokedAt }),
    ...(lastUsed === undefined ? {} : { lastUsed }),
    version,
  }
}

function showIssued({ key, text }: IssuedKey): z.input<typeof issuedKey> {
  return { ...show(key), key: text }
}

interface Named {
  readonly tenant?: string | undefined
  readonly user?: string | undefined
  readonly owner?: string | undefined
  readonly agent?: string | undefined
}

/** A user is named by name, with a tenant, or by id; an agent by id. Two of them would be two answers to one question. */
function ownerOf(context: ControlContext, { tenant, user, owner, agent }: Named): KeyOwner {
  if ([user, owner, agent].filter((each) => each !== undefined).length > 1)
    throw invalid([{ path: 'body', says: 'user, owner and agent exclude each other', expected: 'one of them' }])
  if (tenant !== undefined && user === undefined)
    throw invalid([{ path: 'body.tenant', says: 'says where a user of that name is', expected: 'with user' }])
  if (user !== undefined) return { tenant: tenant ?? homeOf(context), user }
  if (owner !== undefined) return { owner }
  return agent === undefined ? {} : { agent }
}

function listingOf(context: ControlContext, { tenant, user, owner, agent }: Named): KeyListing {
  const rest = { owner, agent }
  return user === undefined ? { ...rest, tenant } : { ...rest, tenant: tenant ?? homeOf(context), user }
}

/** To call it otherwise or to switch it off gives nobody anything: that need not wait for a code. */
function grants({ scopes, addressRanges, isActive, lifetime }: z.output<typeof keyChange>): boolean {
  return [scopes, addressRanges, lifetime].some((each) => each !== undefined) || isActive === true
}

const keyChange = z.strictObject({
  name: name.optional(),
  scopes: scopes.optional(),
  addressRanges: addressRanges.nullable().optional(),
  isActive: z.boolean().optional(),
  lifetime: lifetime.optional(),
})

export const apiKeyOperations: readonly Operation[] = [
  operation({
    name: 'api-keys.list',
    method: 'GET',
    path: '/api/api-keys',
    summary: 'Lists API keys, revoked ones included: for an administrator those of the tenant, for others their own.',
    access: read,
    query: z.strictObject({
      tenant: tenantId.optional(),
      user: name.optional().describe('The name of a user.'),
      owner: id.optional().describe('The id of a user.'),
      agent: id.optional(),
      ...paging,
    }),
    answer: pageOf(apiKey),
    run: (context, { query }) =>
      page(
        context,
        'api-keys.list',
        query,
        (at) => context.parts.keys.listKeys({ ...listingOf(context, query), ...at }, context.actor),
        show,
      ),
  }),
  operation({
    name: 'api-keys.create',
    method: 'POST',
    path: '/api/api-keys',
    summary: 'Makes an API key for yourself, a user or an agent. Nobody grants more than they hold.',
    access: write,
    confirmed: true,
    status: 201,
    creates: true,
    refuses: ['change.forbidden', 'change.conflict', 'entry.unknown'],
    body: z.strictObject({
      name,
      scopes,
      use: use.optional().describe('Default: mcp.'),
      user: name.optional().describe('The name of the user it acts for.'),
      tenant: tenantId.optional().describe('The tenant of the user of that name. Default: your own.'),
      owner: id.optional().describe('The id of the user it acts for. Default: you.'),
      agent: id.optional().describe('The id of the agent it acts for.'),
      addressRanges: addressRanges.optional().describe('Absent: from anywhere.'),
      lifetime: lifetime.optional().describe('Default: authentication.keyLifetimeDays.'),
    }),
    answer: issuedKey,
    run: async (context, { body }) => {
      const { name, scopes, use, addressRanges, lifetime } = body
      const request = { ...ownerOf(context, body), name, scopes, use, addressRanges, lifetime }
      return showIssued(done(await context.parts.keys.createKey(request, context.actor)))
    },
  }),
  operation({
    name: 'api-keys.validate',
    method: 'POST',
    path: '/api/api-keys/validate',
    summary: 'Whether a text is the present secret of a key that you can see. It counts as no use of the key.',
    access: read,
    body: z.strictObject({ key: z.string().min(1).max(256).meta({ format: 'password' }) }),
    answer: z.strictObject({ valid: z.boolean(), apiKey: apiKey.optional() }),
    status: 200,
    run: async ({ parts, actor }, { body }) => {
      const { valid, key } = await parts.keys.validate(body.key, actor)
      return { valid, ...(key === undefined ? {} : { apiKey: show(key) }) }
    },
  }),
  operation({
    name: 'api-keys.get',
    method: 'GET',
    path: '/api/api-keys/{id}',
    summary: 'Shows an API key, without its secret.',
    access: read,
    refuses: ['entry.unknown'],
    params: byId,
    answer: apiKey,
    run: async ({ parts, actor }, { params }) => show(done(await parts.keys.getKey(params.id, actor)).key),
  }),
  operation({
    name: 'api-keys.update',
    method: 'PATCH',
    path: '/api/api-keys/{id}',
    summary: 'Changes an API key. What is absent stays; `"addressRanges": null` lifts that limit.',
    access: write,
    confirmed: grants,
    versioned: true,
    refuses: ['change.forbidden', 'change.conflict', 'entry.unknown'],
    params: byId,
    body: keyChange,
    answer: apiKey,
    run: async ({ parts, actor }, { params, body: { isActive, ...rest }, version }) =>
      show(done(await parts.keys.updateKey(params.id, given({ ...rest, active: isActive }), actor, version)).key),
  }),
  operation({
    name: 'api-keys.regenerate',
    method: 'POST',
    path: '/api/api-keys/{id}/regenerate',
    summary: 'Gives an API key a new secret. The old one stays good for the grace.',
    access: write,
    confirmed: true,
    status: 200,
    creates: true,
    refuses: ['change.forbidden', 'change.conflict', 'entry.unknown'],
    params: byId,
    body: z
      .strictObject({ grace: z.string().min(1).max(16).optional().describe('As 24h, the default, or 0.') })
      .optional(),
    answer: issuedKey,
    run: async ({ parts, actor }, { params, body }) =>
      showIssued(done(await parts.keys.rotateKey(params.id, actor, body?.grace))),
  }),
  operation({
    name: 'api-keys.revoke',
    method: 'DELETE',
    path: '/api/api-keys/{id}',
    summary: 'Revokes an API key for good. Revoking it again is no error and changes nothing.',
    access: write,
    refuses: ['change.forbidden', 'entry.unknown'],
    params: byId,
    run: async ({ parts, actor }, { params }) => {
      done(await parts.keys.revokeKey(params.id, actor))
    },
  }),
]
