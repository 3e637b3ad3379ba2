import * as z from 'zod'
import { everyTenant } from '../identity/reach.ts'
import type { User } from '../identity/user-store.ts'
import { admin, type ControlContext, type Operation, operation } from './operation.ts'
import { page, pageOf, paging } from './page.ts'
import { done } from './refused.ts'
import { byId, given, id, name, tenantId, time, timeOf, version } from './shapes.ts'

const role = z.string().min(1).max(64)
const email = z.string().min(3).max(254)
/** Characters; the rules bound the bytes, and look at what it is made of. */
export const password = z.string().min(1).max(1_024).meta({ format: 'password' })

export const user = z.strictObject({
  id,
  tenant: tenantId,
  name: z.string(),
  email: z.string().optional(),
  role: z.string(),
  status: z.enum(['active', 'disabled']),
  hasPassword: z.boolean().describe('Whether the user can sign in with a password.'),
  hasSecondFactor: z.boolean().describe('Whether a code is asked for beside it.'),
  createdAt: time,
  updatedAt: time,
  version,
})

export function showUser(found: User): z.input<typeof user> {
  const { id, tenant, name, email, role, status, hasPassword, hasSecondFactor, createdAt, updatedAt, version } = found
  return {
    id,
    tenant,
    name,
    ...(email === undefined ? {} : { email }),
    role,
    status,
    hasPassword,
    hasSecondFactor,
    createdAt: timeOf(createdAt),
    updatedAt: timeOf(updatedAt),
    version,
  }
}

/** The tenant that is meant where none is named: one's own; for the local operator, who has none, the first. */
export function homeOf({ principal, actor }: ControlContext): string {
  return principal.tenant !== '' ? principal.tenant : actor.tenant === everyTenant ? 'default' : actor.tenant
}

/** Names are looked for among all users within reach: they are unique in a tenant, and an operator sees several. */
async function usersOf(
  { parts, actor }: ControlContext,
  query: {
    readonly tenant: string | undefined
    readonly name: string | undefined
    after?: string
    readonly limit: number
  },
): Promise<readonly User[]> {
  const { name, limit, ...listing } = query
  if (name === undefined) return parts.users.list({ ...listing, limit }, actor)
  const found: User[] = []
  for (let after = listing.after; found.length < limit; ) {
    const some = await parts.users.list({ ...listing, after, limit: 1_000 }, actor)
    found.push(...some.filter((each) => each.name === name))
    if (some.length < 1_000) break
    after = some.at(-1)?.id
  }
  return found.slice(0, limit)
}

export const userOperations: readonly Operation[] = [
  operation({
    name: 'users.list',
    method: 'GET',
    path: '/api/users',
    summary: 'Lists users.',
    access: admin,
    query: z.strictObject({
      tenant: tenantId.optional(),
      name: name.optional().describe('The user of this name alone.'),
      ...paging,
    }),
    answer: pageOf(user),
    run: (context, { query }) =>
      page(
        context,
        'users.list',
        query,
        (at) => usersOf(context, { tenant: query.tenant, name: query.name, ...at }),
        showUser,
      ),
  }),
  operation({
    name: 'users.create',
    method: 'POST',
    path: '/api/users',
    summary: 'Makes a user.',
    access: admin,
    confirmed: true,
    status: 201,
    creates: true,
    refuses: ['change.forbidden', 'change.conflict', 'entry.unknown'],
    body: z.strictObject({
      tenant: tenantId.optional().describe('Default: your own.'),
      name,
      email: email.optional(),
      role: role.default('user'),
      password: password.optional().describe('Absent: the user cannot sign in, but can own keys.'),
    }),
    answer: user,
    run: async (context, { body }) => {
      const { tenant = homeOf(context), name, role, ...rest } = body
      const made = await context.parts.users.create({ tenant, name, role, ...given(rest) }, context.actor)
      return showUser(done(made).user)
    },
  }),
  operation({
    name: 'users.get',
    method: 'GET',
    path: '/api/users/{id}',
    summary: 'Shows a user.',
    access: admin,
    refuses: ['entry.unknown'],
    params: byId,
    answer: user,
    run: async ({ parts, actor }, { params }) => showUser(done(await parts.users.get(params.id, actor)).user),
  }),
  operation({
    name: 'users.update',
    method: 'PATCH',
    path: '/api/users/{id}',
    summary: 'Changes name, e-mail, role or status of a user. What is absent stays; `"email": null` takes it away.',
    access: admin,
    confirmed: ({ role }) => role !== undefined,
    versioned: true,
    refuses: ['change.forbidden', 'change.conflict', 'entry.unknown'],
    params: byId,
    body: z.strictObject({
      name: name.optional(),
      email: email.nullable().optional(),
      role: role.optional(),
      status: z.enum(['active', 'disabled']).optional(),
    }),
    answer: user,
    run: async ({ parts, actor }, { params, body, version }) =>
      showUser(done(await parts.users.update(params.id, given(body), actor, version)).user),
  }),
  operation({
    name: 'users.set-password',
    method: 'POST',
    path: '/api/users/{id}/password',
    summary: 'Gives a user a new password and ends their sign-ins.',
    access: admin,
    confirmed: true,
    refuses: ['change.forbidden', 'entry.unknown', 'version.stale'],
    params: byId,
    body: z.strictObject({ password }),
    run: async ({ parts, actor }, { params, body }) => {
      done(await parts.users.setPassword(params.id, body.password, actor))
    },
  }),
  operation({
    name: 'users.remove',
    method: 'DELETE',
    path: '/api/users/{id}',
    summary: 'Takes a user away for good, with their agents; ends their keys and sign-ins.',
    access: admin,
    refuses: ['change.forbidden', 'change.conflict', 'entry.unknown'],
    params: byId,
    run: async ({ parts, actor }, { params }) => {
      done(await parts.users.remove(params.id, actor))
    },
  }),
]
