import { Fault } from '../../errors.ts'
import { isLogLevel } from '../../wire/revision.ts'
import { statelessVersion } from '../../wire/revision-2026-07-28.ts'
import { type Handler, plain } from '../handler.ts'
import type { Services } from '../services.ts'
import type { Turn } from '../turn.ts'

/** What every caller is told that the server can do: the same for all, whatever the catalog holds at the moment. */
const capabilities = {
  logging: {},
  completions: {},
  prompts: { listChanged: true },
  resources: { subscribe: true, listChanged: true },
  tools: { listChanged: true },
} as const

/** What a session remembers of its client is the client's to fill, and stays for hours: so it has a bound of its own. */
const rememberedCharsMax = 8_192

/** `server/discover` (2026-07-28). */
export const discover: Handler = plain('server/discover', 'authenticated', ({ services, call }) =>
  call.envelope.revision.result(
    `"supportedVersions":${JSON.stringify([statelessVersion])},"capabilities":${JSON.stringify(capabilities)}${instructions(services)}`,
    { ttlMs: services.listTtlMs, scope: 'private' },
  ),
)

/** `initialize` (to 2025-11-25): opens a session bound to the caller. */
export const initialize: Handler = plain('initialize', 'authenticated', openSession, {
  audit: 'session',
  needsSession: false,
})

/** `ping` (to 2025-11-25). */
export const ping: Handler = plain('ping', 'authenticated', (turn) => turn.call.envelope.revision.result(''), {
  needsSession: false,
})

/** `logging/setLevel` (to 2025-11-25). */
export const setLevel: Handler = plain('logging/setLevel', 'authenticated', async (turn) => {
  const { level } = turn.call.message.params
  if (!isLogLevel(level)) throw new Fault('params.invalid', { says: 'unknown level' })
  await turn.services.sessions?.update(turn.call.session?.id ?? '', { logLevel: level }, turn.services.clock())
  return turn.call.envelope.revision.result('')
})

async function openSession(turn: Turn): Promise<string> {
  const { services, call, line } = turn
  if (services.sessions === undefined) throw new Fault('method.unknown')
  const { params } = call.message
  if (typeof params['protocolVersion'] !== 'string')
    throw new Fault('params.invalid', { says: 'protocolVersion is missing' })
  if (JSON.stringify(call.envelope.client.capabilities).length > rememberedCharsMax)
    throw new Fault('params.invalid', { says: 'capabilities is too large' })
  const now = services.clock()
  const id = services.random(32).toString('base64url')
  const { revision, client } = call.envelope
  const opened = await services.sessions.open(
    {
      id,
      tenant: call.principal.tenant,
      binding: call.principal.binding,
      principal: call.principal.id,
      credential: call.principal.credential,
      version: revision.version,
      client,
      openedAt: now,
      expiresAt: now + services.sessionDurationMs,
      logLevel: undefined,
      subscriptions: undefined,
    },
    services.sessionCaps,
    now,
  )
  if (opened === 'full') throw new Fault('session.capacity', { retryAfterMs: 30_000 })
  // Whoever asked has left, or may call no more: nobody will ever hold the id.
  if (turn.done) {
    await services.sessions.end(id, call.principal.binding, now)
    return ''
  }
  line.header(services.sessionHeader, id)
  const { name, version } = services.server
  return revision.result(
    `"protocolVersion":"${revision.version}","capabilities":${JSON.stringify(capabilities)},"serverInfo":${JSON.stringify({ name, version })}${instructions(services)}`,
  )
}

function instructions(services: Services): string {
  const { instructions } = services.server
  return instructions === undefined ? '' : `,"instructions":${JSON.stringify(instructions)}`
}
