import type { Reply } from '../call.ts'
import type { Config } from '../config/schema.ts'
import type { Dispatch } from '../dispatch/dispatch.ts'
import type { Services } from '../dispatch/services.ts'
import { endSession, openSessionStream } from '../dispatch/session-endpoints.ts'
import { sessionEntry } from '../dispatch/session-record.ts'
import { openedWith } from '../guard/handshake.ts'
import { settle } from '../guard/limit-calls.ts'
import { known, mcp, mcpEnd, mcpStream, open, socketTicket } from '../guard/pipeline.ts'
import { proofAlgorithms } from '../identity/dpop.ts'
import { keySetSeconds } from '../identity/signing-keys.ts'
import { type Tickets, ticketMs } from '../identity/tickets.ts'
import { type Routes, type Verb, verb } from '../transport/routes.ts'

export interface RouteOptions {
  readonly config: Config
  readonly services: Services
  readonly dispatch: Dispatch
  /** The canonical address of the MCP endpoint. */
  readonly resource: () => string
  /** Whether calls are taken now. */
  readonly ready: () => boolean
  /** The keys that our tokens are signed with, as a JWK set in JSON; absent where none are issued. */
  readonly keySet?: () => string
  /** Gives tickets for sockets; absent where none are opened. */
  readonly tickets?: Tickets | undefined
}

const preflightHeaders = [
  'Authorization',
  'DPoP',
  'Content-Type',
  'X-API-Key',
  'MCP-Protocol-Version',
  'Mcp-Session-Id',
  'Mcp-Method',
  'Mcp-Name',
  'Last-Event-ID',
]

/** Every path that is served, each method of it behind its own chain. Nothing else is. */
export function routesFor(options: RouteOptions): Routes {
  const { config, services, dispatch } = options
  const { endpoint } = config.server
  const { session, resumability, health } = config

  const mcpVerbs = new Map<string, Verb>([['POST', verb('credential', mcp, dispatch)]])
  if (session.enabled) {
    const lastEventHeader = resumability.headerName.toLowerCase()
    mcpVerbs.set(
      'GET',
      verb('credential', mcpStream, async (call, reply) => {
        const header = call.head.headers[lastEventHeader]
        const last = typeof header === 'string' ? header : undefined
        await openSessionStream(services, call, last, reply)
        call.gate.audit.append(sessionEntry(last === undefined ? 'stream' : 'resume', call))
        settle(call.gate, call.reserved, undefined)
      }),
    )
    if (session.clientTermination) {
      mcpVerbs.set(
        'DELETE',
        verb('credential', mcpEnd, async (call, reply) => {
          await endSession(services, call)
          call.gate.audit.append(sessionEntry('end', call))
          settle(call.gate, call.reserved, undefined)
          reply.finish(204)
        }),
      )
    }
  }

  const routes = new Map<string, ReadonlyMap<string, Verb>>([
    [endpoint, withPreflight(mcpVerbs, config)],
    [
      '/ready',
      readable(config, 'open', () => (options.ready() ? [200, { status: 'ready' }] : [503, { status: 'not ready' }])),
    ],
  ])
  if (health.enabled) {
    routes.set(
      health.path,
      readable(config, health.authentication ? 'credential' : 'open', () => [200, { status: 'ok' }]),
    )
  }
  // RFC 9728 §3.1: the metadata of the resource, at the root and with the resource's path appended.
  const metadata = readable(config, 'open', () => [200, { resource: options.resource(), ...resourceFacts(config) }])
  for (const suffix of new Set(['', endpoint === '/' ? '' : endpoint]))
    routes.set(`/.well-known/oauth-protected-resource${suffix}`, metadata)
  const { keySet, tickets } = options
  if (tickets !== undefined) {
    const give = verb('credential', socketTicket, (call, reply) => {
      const { gate, head, principal } = call
      const ticket = tickets.give(openedWith(call), principal, head.headers.origin, gate.clock())
      gate.audit.append(sessionEntry('ticket', call))
      settle(gate, call.reserved, undefined)
      reply.answer(JSON.stringify({ ticket, expiresIn: ticketMs / 1_000 }), 200)
    })
    routes.set(ticketPath(endpoint), withPreflight(new Map([['POST', give]]), config))
  }
  if (keySet !== undefined) {
    const read = verb('open', open, (_call: unknown, reply: Reply) => {
      reply.header('Cache-Control', `public, max-age=${keySetSeconds}`)
      reply.document(keySet(), 'application/jwk-set+json', 200)
    })
    const verbs = new Map([
      ['GET', read],
      ['HEAD', read],
    ])
    routes.set('/.well-known/jwks.json', withPreflight(verbs, config))
  }
  return routes
}

/** Where a page asks for a ticket: beside the endpoint where it opens the socket. */
export function ticketPath(endpoint: string): string {
  return `${endpoint === '/' ? '' : endpoint}/ticket`
}

/** What is said of the MCP endpoint as a protected resource (RFC 9728 §2), beside its address. */
function resourceFacts({ identity: { issuers }, tls }: Config) {
  const bound = issuers.length > 0 && issuers.every(({ dpop }) => dpop === 'required')
  return {
    ...(issuers.length === 0 ? {} : { authorization_servers: issuers.map(({ issuer }) => issuer) }),
    bearer_methods_supported: ['header'],
    scopes_supported: ['read', 'write', 'admin'],
    dpop_signing_alg_values_supported: proofAlgorithms,
    ...(bound ? { dpop_bound_access_tokens_required: true } : {}),
    // RFC 8705 §3.3: a token may be bound to the certificate of its client.
    ...(tls.clientCertificate === 'off' ? {} : { tls_client_certificate_bound_access_tokens: true }),
  }
}

/** A small JSON document, to be read with GET or HEAD. */
function readable(
  config: Config,
  policy: Verb['policy'],
  answer: () => readonly [number, object],
): ReadonlyMap<string, Verb> {
  const handle = (_call: unknown, reply: Reply) => {
    const [status, body] = answer()
    reply.answer(JSON.stringify(body), status)
  }
  const read = policy === 'open' ? verb('open', open, handle) : verb('credential', known, handle)
  return withPreflight(
    new Map([
      ['GET', read],
      ['HEAD', read],
    ]),
    config,
  )
}

/** Adds OPTIONS: what a page of an allowed origin may send (Fetch §3.2.2). It needs no credential and runs no handler. */
function withPreflight(verbs: ReadonlyMap<string, Verb>, { cors }: Config): ReadonlyMap<string, Verb> {
  const methods = [...verbs.keys()]
    .filter((method) => (cors.allowedMethods as readonly string[]).includes(method))
    .join(', ')
  const allow = [...verbs.keys(), 'OPTIONS'].join(', ')
  const headers = [...preflightHeaders, ...cors.allowedHeaders].join(', ')
  const preflight = verb('open', open, ({ origin }, reply) => {
    if (origin === undefined) reply.header('Allow', allow)
    else {
      reply.header('Access-Control-Allow-Methods', methods)
      reply.header('Access-Control-Allow-Headers', headers)
      reply.header('Access-Control-Max-Age', String(cors.maxAgeSeconds))
    }
    reply.finish(204)
  })
  return new Map([...verbs, ['OPTIONS', preflight]])
}
