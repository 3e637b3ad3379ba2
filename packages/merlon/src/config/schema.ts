import { isIP } from 'node:net'
import * as z from 'zod'
import { admin } from './sections/admin.ts'
import { alerts } from './sections/alerts.ts'
import { audit } from './sections/audit.ts'
import { authentication } from './sections/authentication.ts'
import { compression } from './sections/compression.ts'
import { identity } from './sections/identity.ts'
import { limits } from './sections/limits.ts'
import { log } from './sections/log.ts'
import { metrics } from './sections/metrics.ts'
import { rateLimit } from './sections/rate-limit.ts'
import { tls } from './sections/tls.ts'
import { webSocket } from './sections/web-socket.ts'
import { addressRange, headerName, host, ms, origin, path, portInRange, scope, secretReference } from './values.ts'

/**
 * The one truth about settings: types, defaults, checks, JSON Schema, the reference page and the environment names come
 * from here. A list that is absent has its default; an empty list denies. An unknown key is an error.
 */

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
      drainDelayMs: z
        .int()
        .min(0)
        .max(300_000)
        .default(0)
        .describe(
          'How long a server that was told to stop serves on while /ready says 503, so that balancers see it first.',
        ),
      dangerouslySkipHostCheck: z.boolean().default(false).describe('Serves any Host header. Refused on loopback.'),
    })
    .prefault({}),

  tls,

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

  compression,

  admin,

  health: z
    .strictObject({
      enabled: z.boolean().default(true).describe('Whether to answer at the health path.'),
      path: path.default('/health').describe('Where liveness is answered; readiness is at /ready.'),
      authentication: z.boolean().default(false).describe('Whether the health path asks for a credential.'),
    })
    .prefault({}),

  authentication,

  identity,

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

  webSocket,

  limits,

  rateLimit,

  audit,

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
      redisUrl: secretReference
        .optional()
        .describe('A Redis in which processes share their limits: env:REDIS_URL. Default: each counts by itself.'),
      redisPrefix: z
        .string()
        .regex(/^[a-z0-9][a-z0-9._-]{0,31}$/, 'a short name such as merlon')
        .default('merlon')
        .describe('Begins every name in that Redis; servers that share their limits have the same.'),
    })
    .prefault({}),

  secrets: z
    .strictObject({
      rootKey: secretReference
        .optional()
        .describe(
          '32 bytes, base64 or hex. Default: env:ENCRYPTION_KEY where set, else root.key in the data folder, made on the first start.',
        ),
      rootKeyNext: secretReference
        .optional()
        .describe(
          'The root key that is to follow, until `merlon encryption-key rewrap` is done. Default: env:ENCRYPTION_KEY_NEXT where set, else root.key.next in the data folder where that is.',
        ),
      apiKeyPepper: secretReference
        .optional()
        .describe(
          'Keys the digests of API keys. Default: env:API_KEY_SECRET where set, else a key of the installation.',
        ),
    })
    .prefault({}),

  catalog: z
    .strictObject({
      folder: z.string().min(1).default('src').describe('The folder with tools/, resources/ and prompts/.'),
      ttlMs: z.int().min(0).default(60_000).describe('How long a client may keep a list (2026-07-28).'),
    })
    .prefault({}),

  log,

  metrics,

  alerts,
})

/** Settings in force: complete, checked, frozen. */
export type Config = z.output<typeof configSchema>
/** Settings as a file may give them. */
export type ConfigInput = z.input<typeof configSchema>
