import * as z from 'zod'
import { Fault } from '../errors.ts'
import { everyTenant } from '../identity/reach.ts'
import type { ListedSession, SessionPage, SessionReach } from '../session/session-store.ts'
import type { ControlContext, Operation } from './operation.ts'
import { admin, operation } from './operation.ts'
import { page, pageOf, paging } from './page.ts'
import { byId, given, id, tenantId, time, timeOf } from './shapes.ts'

const session = z.strictObject({
  id: id.describe('Names the session here. It is not the id that the client holds, and opens nothing.'),
  tenant: tenantId,
  principal: z.string().describe('The user, agent or subject that opened it.'),
  credential: z.string().describe('The public id of the credential it was opened with.'),
  protocolVersion: z.string(),
  client: z
    .strictObject({ name: z.string().optional(), version: z.string().optional() })
    .describe('What the client says it is.'),
  openedAt: time,
  usedAt: time,
  expiresAt: time,
})

function show({
  id,
  session: { tenant, principal, credential, version, client, openedAt, expiresAt },
  usedAt,
}: ListedSession): z.input<typeof session> {
  return {
    id,
    tenant,
    principal,
    credential,
    protocolVersion: version,
    client: {
      ...(client.name === undefined ? {} : { name: client.name }),
      ...(client.version === undefined ? {} : { version: client.version }),
    },
    openedAt: timeOf(openedAt),
    usedAt: timeOf(usedAt),
    expiresAt: timeOf(expiresAt),
  }
}

/** The id of a subject is made of an issuer and a name. */
const opener = z.string().min(1).max(2_048)

/** What sessions are listed and ended with. */
export interface Sessions {
  list(reach: SessionReach, page: SessionPage): Promise<readonly ListedSession[]>
  get(reach: SessionReach, id: string): Promise<ListedSession | undefined>
  /** Ends it, with its streams and the calls under way. Answers whether there was one. */
  end(reach: SessionReach, id: string): Promise<boolean>
}

function reachOf({ actor }: ControlContext, tenant?: string): SessionReach | undefined {
  if (actor.tenant === everyTenant) return tenant === undefined ? { everyTenant: true } : { tenant }
  return tenant === undefined || tenant === actor.tenant ? { tenant: actor.tenant } : undefined
}

export const sessionOperations: readonly Operation[] = [
  operation({
    name: 'sessions.list',
    method: 'GET',
    path: '/api/sessions',
    summary: 'Lists the open MCP sessions.',
    access: admin,
    query: z.strictObject({
      tenant: tenantId.optional(),
      principal: opener.optional().describe('Only those that this user, agent or subject opened.'),
      credential: opener.optional().describe('Only those that were opened with this credential, as key_….'),
      ...paging,
    }),
    answer: pageOf(session),
    run: (context, { query }) => {
      const reach = reachOf(context, query.tenant)
      const { sessions } = context.parts
      const by = given({ principal: query.principal, credential: query.credential })
      return page(
        context,
        'sessions.list',
        query,
        (at) => (reach === undefined || sessions === undefined ? [] : sessions.list(reach, { ...at, ...by })),
        show,
      )
    },
  }),
  operation({
    name: 'sessions.get',
    method: 'GET',
    path: '/api/sessions/{id}',
    summary: 'Shows an open MCP session.',
    access: admin,
    refuses: ['entry.unknown'],
    params: byId,
    answer: session,
    run: async (context, { params }) => {
      const reach = reachOf(context)
      const found = reach === undefined ? undefined : await context.parts.sessions?.get(reach, params.id)
      if (found === undefined) throw new Fault('entry.unknown', { reason: 'session' })
      return show(found)
    },
  }),
  operation({
    name: 'sessions.end',
    method: 'DELETE',
    path: '/api/sessions/{id}',
    summary: 'Ends an MCP session, with its streams and what is under way.',
    access: admin,
    refuses: ['entry.unknown'],
    params: byId,
    run: async (context, { params }) => {
      const { actor, parts } = context
      const reach = reachOf(context)
      const found = reach === undefined ? undefined : await parts.sessions?.get(reach, params.id)
      if (reach === undefined || found === undefined) throw new Fault('entry.unknown', { reason: 'session' })
      const line = {
        type: 'session',
        success: true,
        level: 'info',
        action: 'session.end',
        by: actor.id,
        tenant: found.session.tenant,
        detail: { session: params.id, principal: found.session.principal },
      } as const
      await parts.audit.commit({ ...line, outcome: 'intended' })
      const ended = (await parts.sessions?.end(reach, params.id)) === true
      await parts.audit.commit({ ...line, success: ended, outcome: ended ? 'done' : 'refused' })
      if (!ended) throw new Fault('entry.unknown', { reason: 'session' })
    },
  }),
]
