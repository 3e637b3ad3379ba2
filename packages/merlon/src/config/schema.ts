import { isIP } from 'node:net'
import * as z from 'zod'
import { scopePattern } from '../policy/scopes.ts'

/**
 * The one truth about settings: types, defaults, checks, JSON Schema, the reference page and the environment names come
 * from here. A list that is absent has its default; an empty list denies. An unknown key is an error.
 */

const origin = z
  .string()
  .regex(
    /^https?:\/\/(?:[a-z0-9.-]+|\[[0-9a-f:]+\])(?::[0-9]{1,5})?$/,
    'an origin such as https://app.example:8443, in lower case, without a path; a wildcard or null is not one',
  )
  .refine(portInRange, 'a port from 1 to 65535')
const host = z
  .string()
  .regex(
    /^(?:[a-z0-9.-]+|\[[0-9a-f:]+\])(?::[0-9]{1,5})?$/,
    'a host such as mcp.example or mcp.example:8443, in lower case',
  )
  .refine(portInRange, 'a port from 1 to 65535')
const path = z
  .string()
  .regex(
    /^\/(?:(?!\.\.?(?:\/|$))[A-Za-z0-9._~-]+(?:\/(?!\.\.?(?:\/|$))[A-Za-z0-9._~-]+)*)?$/,
    'a plain path such as /mcp, without empty parts or dots, and no slash at its end',
  )
const scope = z.string().regex(scopePattern, 'a scope such as read or files:write')
const secretReference = z
  .string()
  .regex(
    /^(?:env:[A-Za-z_][A-Za-z0-9_]*|file:.+)$/,
    'a reference to a secret, env:NAME or file:/path; never the secret itself',
  )
  .meta({ secret: true })
const headerName = z.string().regex(/^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}$/, 'a header name')
const addressRange = z
  .string()
  .regex(/^[0-9a-fA-F.:]+\/[0-9]{1,3}$/, 'an address range such as 10.0.0.0/8')
  .refine(isAddressRange, 'an address range such as 10.0.0.0/8; a range of every address (/0) would believe everyone')

function portInRange(text: string): boolean {
  const port = /:([0-9]+)$/.exec(text.replace(/^https?:\/\//, ''))?.[1]
  return port === undefined || (Number(port) >= 1 && Number(port) <= 65_535)
}

function isAddressRange(text: string): boolean {
  const [address = '', prefix = ''] = text.split('/')
  const family = isIP(address)
  return family !== 0 && Number(prefix) >= 1 && Number(prefix) <= (family === 4 ? 32 : 128)
}

/** Node fires a timer beyond 2³¹−1 ms at once, so no span may be longer. */
const ms = (least: number) => z.int().min(least).max(2_147_483_647)

export const configSchema = z.strictObject({
  $schema: z.string().optional().describe('Where an editor finds the JSON Schema of this file.'),
  name: z.string().min(1).max(128).default('merlon').describe('The name the server tells its clients.'),
  version: z.string().min(1).max(64).default('0.1.0').describe('The version the server tells its clients.'),
  instructions: z.string().max(65_536).optional().describe('Guidance for the model on how to use this server.'),

  server: z
    .strictObject({
      host: z
        .string()
        .refine((text) => text === 'localhost' || isIP(text) !== 0, 'localhost, or an address such as 127.0.0.1 or ::1')
        .default('127.0.0.1')
        .describe('The address to listen on. Beyond loopback only with tls or trustedProxies.'),
      port: z.int().min(0).max(65_535).default(4000).describe('The port to listen on; 0 takes a free one.'),
      endpoint: path.default('/mcp').describe('The path of the MCP endpoint.'),
      publicUrl: z
        .string()
        .regex(
          /^https?:\/\/(?:[a-z0-9.-]+|\[[0-9a-f:]+\])(?::[0-9]{1,5})?$/,
          'an address such as https://mcp.example, in lower case, without a path, a user or a slash at its end',
        )
        .refine(portInRange, 'a port from 1 to 65535')
        .optional()
        .describe('The address clients use, without the endpoint. Default: the listening address.'),
      allowedHosts: z
        .array(host)
        .optional()
        .describe(
          'Host headers that are served, exactly. Default: the listening and the public address; on loopback localhost, 127.0.0.1 and [::1] too.',
        ),
      trustedProxies: z
        .array(addressRange)
        .default([])
        .describe('Address ranges of the TLS-terminating proxies in front, whose X-Forwarded-For is believed.'),
      responseMode: z
        .enum(['auto', 'json', 'stream'])
        .default('auto')
        .describe('auto streams only when there is something to stream; json and stream force one form.'),
      dangerouslySkipHostCheck: z.boolean().default(false).describe('Serves any Host header. Refused on loopback.'),
    })
    .prefault({}),

  tls: z
    .strictObject({
      certificatePath: z
        .string()
        .min(1)
        .optional()
        .describe('The certificate chain, PEM. With keyPath the server speaks TLS 1.2 and up, and nothing else.'),
      keyPath: z.string().min(1).optional().describe('The private key, PEM, readable for its owner alone.'),
    })
    .prefault({}),

  cors: z
    .strictObject({
      allowedOrigins: z
        .array(origin)
        .default([])
        .describe(
          'Origins of web pages that may call, exactly. Requests without an Origin header are not from a web page, and pass.',
        ),
      allowedHeaders: z
        .array(headerName)
        .default([])
        .describe('Request headers a page may send beyond those of the protocol.'),
      exposedHeaders: z
        .array(headerName)
        .default([])
        .describe('Response headers a page may read beyond those of the protocol.'),
      allowedMethods: z
        .array(z.enum(['GET', 'POST', 'DELETE', 'OPTIONS']))
        .default(['GET', 'POST', 'DELETE', 'OPTIONS'])
        .describe('HTTP methods a page may use.'),
      maxAgeSeconds: z.int().min(0).max(7200).default(7200).describe('How long a browser may keep a preflight answer.'),
      dangerouslySkipOriginCheck: z
        .boolean()
        .default(false)
        .describe('Serves any Origin, without CORS headers. Refused on loopback.'),
    })
    .prefault({}),

  health: z
    .strictObject({
      enabled: z.boolean().default(true).describe('Whether to answer at the health path.'),
      path: path.default('/health').describe('Where liveness is answered; readiness is at /ready.'),
      authentication: z.boolean().default(false).describe('Whether the health path asks for a credential.'),
    })
    .prefault({}),

  authentication: z
    .strictObject({
      module: z
        .string()
        .min(1)
        .optional()
        .describe(
          'A file whose default export, made with defineAuthenticator, checks credentials that are not API keys.',
        ),
      keyLifetimeDays: z.int().min(1).max(3650).default(90).describe('Lifetime of a new API key that names none.'),
      keyLifetimeDaysMax: z.int().min(1).max(3650).default(365).describe('Longest lifetime of a new API key.'),
    })
    .prefault({}),

  scopes: z
    .array(scope)
    .default([])
    .describe('Own scopes beside read, write and admin, such as files:write. Roles name these and no others.'),

  roles: z
    .record(z.string().regex(/^[a-z][a-z0-9_-]{0,63}$/, 'a role name'), z.array(scope))
    .default({ user: ['read', 'write'], admin: ['read', 'write', 'admin'], operator: ['read', 'write', 'admin'] })
    .describe('Each role is a named set of scopes. An empty set denies.'),

  session: z
    .strictObject({
      enabled: z
        .boolean()
        .default(true)
        .describe('Whether the stateful revisions (2024-11-05 to 2025-11-25) are served.'),
      headerName: headerName.default('Mcp-Session-Id').describe('The header that carries the session id.'),
      clientTermination: z.boolean().default(true).describe('Whether a client may end its session with DELETE.'),
      durationMs: ms(1_000).default(7_200_000).describe('Longest life of a session.'),
      idleMs: ms(1_000).default(1_800_000).describe('A session unused for so long ends.'),
      sweepMs: ms(1_000).default(180_000).describe('How often ended sessions are cleared away.'),
      perPrincipalMax: z.int().min(1).default(1_000).describe('Open sessions of one principal.'),
      perTenantMax: z.int().min(1).default(20_000).describe('Open sessions of one tenant.'),
      totalMax: z.int().min(1).default(100_000).describe('Open sessions in all.'),
    })
    .prefault({}),

  resumability: z
    .strictObject({
      enabled: z.boolean().default(true).describe('Whether streams of the stateful revisions can be resumed.'),
      headerName: headerName.default('Last-Event-ID').describe('The header that names the last event a client has.'),
      historyMs: ms(1_000).default(300_000).describe('How long an event is kept.'),
      eventsMax: z.int().min(1).default(1_000).describe('Events kept for one session.'),
    })
    .prefault({}),

  limits: z
    .strictObject({
      messageBytesMax: z.int().min(1_024).max(67_108_864).default(1_048_576).describe('Largest request body.'),
      jsonDepthMax: z.int().min(4).max(256).default(64).describe('Deepest nesting in a message.'),
      jsonNodesMax: z.int().min(100).max(1_000_000).default(100_000).describe('Most values in a message.'),
      callTimeoutMs: ms(100).default(60_000).describe('Longest time for one call, questions to the client included.'),
      connectionsMax: z.int().min(1).default(10_000).describe('Open connections in all.'),
      connectionsPerAddressMax: z
        .int()
        .min(1)
        .default(1_000)
        .describe('Open connections from one address (IPv6: one /64).'),
      callsPerPrincipalMax: z
        .int()
        .min(1)
        .default(100)
        .describe('Calls of one principal that may be under way at once.'),
      callsPerConnectionMax: z.int().min(1).default(16).describe('Requests of one connection answered at once.'),
      streamsPerPrincipalMax: z
        .int()
        .min(1)
        .default(100)
        .describe('Open subscription and session streams of one principal.'),
      streamBufferBytesMax: z
        .int()
        .min(65_536)
        .default(1_048_576)
        .describe('Bytes waiting for a slow reader before its stream is closed.'),
      streamStallMs: ms(1_000).default(30_000).describe('A reader that takes nothing for so long is closed.'),
      heartbeatMs: ms(100)
        .max(30_000)
        .default(15_000)
        .describe('How often an open stream carries a comment, so that nobody between takes it for dead.'),
      eventLoopDelayMsMax: ms(50)
        .default(2_000)
        .describe('Above this delay of the event loop new requests are refused with 503.'),
      pageSize: z.int().min(1).max(1_000).default(200).describe('Entries in one page of a list.'),
    })
    .prefault({}),

  rateLimit: z
    .strictObject({
      enabled: z.boolean().default(true).describe('Whether calls are counted.'),
      windowMs: ms(1_000).default(60_000).describe('Length of one window.'),
      callsMax: z.int().min(1).default(600).describe('Calls one principal may make in a window.'),
      failuresMax: z.int().min(1).default(10).describe('Failed authentications of one address in a minute.'),
    })
    .prefault({}),

  audit: z
    .strictObject({
      file: z
        .string()
        .min(1)
        .optional()
        .describe('Where records are appended as JSON lines. Default: audit.jsonl in the data folder.'),
      flushMs: ms(1)
        .max(1_000)
        .default(50)
        .describe('How long a record of a call may wait in memory. Records of changes never wait.'),
    })
    .prefault({}),

  store: z
    .strictObject({
      folder: z
        .string()
        .min(1)
        .default('.merlon')
        .describe('The data folder: the embedded database, the root key, the audit log.'),
      databaseUrl: secretReference
        .optional()
        .describe('PostgreSQL instead of the embedded database: env:DATABASE_URL.'),
    })
    .prefault({}),

  secrets: z
    .strictObject({
      rootKey: secretReference
        .optional()
        .describe(
          '32 bytes, base64 or hex. Default: env:ENCRYPTION_KEY where set, else root.key in the data folder, made on the first start.',
        ),
      apiKeyPepper: secretReference
        .optional()
        .describe(
          'Keys the digests of API keys. Default: env:API_KEY_SECRET where set, else derived from the root key.',
        ),
    })
    .prefault({}),

  catalog: z
    .strictObject({
      folder: z.string().min(1).default('src').describe('The folder with tools/, resources/ and prompts/.'),
      ttlMs: z.int().min(0).default(60_000).describe('How long a client may keep a list (2026-07-28).'),
    })
    .prefault({}),

  log: z
    .strictObject({
      level: z
        .enum(['trace', 'debug', 'info', 'warn', 'error', 'silent'])
        .default('info')
        .describe('Least severe line of the program log.'),
    })
    .prefault({}),
})

/** Settings in force: complete, checked, frozen. */
export type Config = z.output<typeof configSchema>
/** Settings as a file may give them. */
export type ConfigInput = z.input<typeof configSchema>
