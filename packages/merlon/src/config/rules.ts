import { builtInScopes } from './builtin-scopes.ts'
import { issuerRules } from './issuer-rules.ts'
import { nearest } from './near.ts'
import { type Rule, when } from './rule.ts'
import { tlsRules } from './tls-rules.ts'
import { isLoopback } from './values.ts'

/** Headers that already mean something; a session id or an event id may not travel in them. */
const takenHeaders: ReadonlySet<string> = new Set(
  [
    'Accept',
    'Authorization',
    'Connection',
    'Content-Encoding',
    'Content-Length',
    'Content-Type',
    'Cookie',
    'DPoP',
    'Forwarded',
    'Host',
    'MCP-Protocol-Version',
    'Mcp-Method',
    'Mcp-Name',
    'Origin',
    'Set-Cookie',
    'Transfer-Encoding',
    'Upgrade',
    'WWW-Authenticate',
    'X-API-Key',
    'X-Forwarded-For',
  ].map((name) => name.toLowerCase()),
)

/** Limits that are there without a rule. */
const reserved = /^(?:calls$|messages$|failures|login)/

/** The rules that look at more than one setting. */
export const rules: readonly Rule[] = [
  ...tlsRules,
  {
    promise: 'Beside the MCP endpoint the control plane has paths of its own.',
    id: 'CA-123',
    severity: 'error',
    check: ({ admin, server, health }) =>
      when(
        admin.listener === 'shared' &&
          [server.endpoint, health.path].some(
            (path) => path === '/metrics' || path === '/api' || path.startsWith('/api/'),
          ),
        {
          paths: ['server.endpoint', 'health.path', 'admin.listener'],
          says: 'is a path of the control plane, which is served here',
          fix: 'Choose a path outside /api and /metrics, or set admin.listener to own',
        },
      ),
  },
  {
    promise: 'On loopback the Host check cannot be skipped.',
    id: 'CA-102',
    severity: 'error',
    check: ({ server }) =>
      when(server.dangerouslySkipHostCheck && isLoopback(server.host), {
        paths: ['server.dangerouslySkipHostCheck', 'server.host'],
        says: 'is refused on loopback, where a web page could reach the server by DNS rebinding',
        fix: 'Remove it, and name further hosts in server.allowedHosts',
      }),
  },
  {
    promise: 'On loopback the Origin check cannot be skipped.',
    id: 'CA-103',
    severity: 'error',
    check: ({ server, cors }) =>
      when(cors.dangerouslySkipOriginCheck && isLoopback(server.host), {
        paths: ['cors.dangerouslySkipOriginCheck', 'server.host'],
        says: 'is refused on loopback, where any web page could call the server',
        fix: 'Remove it, and name the pages in cors.allowedOrigins',
      }),
  },
  {
    promise: 'A skipped Host check is said at every start.',
    id: 'CA-104',
    severity: 'warning',
    check: ({ server }) =>
      when(server.dangerouslySkipHostCheck && !isLoopback(server.host), {
        paths: ['server.dangerouslySkipHostCheck', 'server.host'],
        says: 'every Host header is served',
        fix: 'Name the hosts in server.allowedHosts instead',
      }),
  },
  {
    promise: 'A skipped Origin check is said at every start.',
    id: 'CA-105',
    severity: 'warning',
    check: ({ server, cors }) =>
      when(cors.dangerouslySkipOriginCheck && !isLoopback(server.host), {
        paths: ['cors.dangerouslySkipOriginCheck', 'server.host'],
        says: 'every Origin is served',
        fix: 'Name the pages in cors.allowedOrigins instead',
      }),
  },
  {
    promise: 'The endpoint, the health path and /ready are three different paths.',
    id: 'CA-112',
    severity: 'error',
    check: ({ server, health, webSocket }) => [
      ...when(server.endpoint === health.path, {
        paths: ['server.endpoint', 'health.path'],
        says: 'is the health path too, which needs no credential',
        fix: 'Give them different paths',
      }),
      ...when(server.endpoint === '/ready', {
        paths: ['server.endpoint'],
        says: 'is the path of readiness',
        fix: 'Choose another path, such as /mcp',
      }),
      ...when(webSocket.enabled && health.path === `${server.endpoint === '/' ? '' : server.endpoint}/ticket`, {
        paths: ['health.path', 'server.endpoint'],
        says: 'is where tickets for sockets are given',
        fix: 'Choose another path',
      }),
      ...when(health.path === '/ready', {
        paths: ['health.path'],
        says: 'is the path of readiness',
        fix: 'Choose another path, such as /health',
      }),
    ],
  },
  {
    promise: 'A key that names no lifetime lives no longer than any key may.',
    id: 'CA-303',
    severity: 'error',
    check: ({ authentication }) =>
      when(authentication.keyLifetimeDays > authentication.keyLifetimeDaysMax, {
        paths: ['authentication.keyLifetimeDays', 'authentication.keyLifetimeDaysMax'],
        says: 'is longer than authentication.keyLifetimeDaysMax',
        fix: 'Lower it, or raise the other',
      }),
  },
  {
    promise: 'A role names scopes that exist.',
    id: 'CA-304',
    severity: 'error',
    check: ({ roles, scopes }) => {
      const known = new Set([...builtInScopes, ...scopes])
      return Object.entries(roles).flatMap(([role, named]) =>
        named.flatMap((scope) => {
          const near = nearest(scope, known)
          const hint = near === undefined ? '' : `Did you mean ${near}? Otherwise `
          return when(!known.has(scope), {
            paths: [`roles.${role}`, 'scopes'],
            says: 'names a scope that does not exist',
            fix: `${hint}${hint === '' ? 'D' : 'd'}eclare it in scopes`,
          })
        }),
      )
    },
  },
  {
    promise: 'The role of the first key exists.',
    id: 'CA-305',
    severity: 'error',
    check: ({ roles }) =>
      when(!Object.hasOwn(roles, 'operator'), {
        paths: ['roles'],
        says: 'lacks the role operator, to which the first key belongs',
        fix: 'Add it; an empty list of scopes denies it everything',
      }),
  },
  ...issuerRules,
  {
    promise: 'Session ids and event ids travel in headers of their own.',
    id: 'CA-113',
    severity: 'error',
    check: ({ session, resumability }) => [
      ...(
        [
          ['session.headerName', session.headerName],
          ['resumability.headerName', resumability.headerName],
        ] as const
      ).flatMap(([path, name]) =>
        when(takenHeaders.has(name.toLowerCase()), {
          paths: [path],
          says: 'is a header that already has a meaning',
          fix: 'Leave it out for the name of the protocol',
        }),
      ),
      ...when(session.headerName.toLowerCase() === resumability.headerName.toLowerCase(), {
        paths: ['session.headerName', 'resumability.headerName'],
        says: 'is the header of resumability too',
        fix: 'Give them different names',
      }),
    ],
  },
  {
    promise: 'Keys do not travel in clear without a word.',
    id: 'CA-108',
    severity: 'warning',
    check: ({ server }) => {
      const host = /^http:\/\/(\[[^\]]+\]|[^:/]+)/.exec(server.publicUrl ?? '')?.[1]
      return when(host !== undefined && !isLoopback(host.replace(/^\[|\]$/g, '')), {
        paths: ['server.publicUrl'],
        says: 'clients send their keys in clear',
        fix: 'Use https',
      })
    },
  },
  {
    promise: 'Compressed answers to credentials are said at every start.',
    id: 'CA-116',
    severity: 'warning',
    check: ({ compression }) =>
      when(compression.enabled && compression.dangerouslyIncludeCredentialed, {
        paths: ['compression.dangerouslyIncludeCredentialed', 'compression.enabled'],
        says: 'the size of an answer tells of secrets in it',
        fix: 'Leave it out, and have tools answer with less',
      }),
  },
  {
    promise: 'An empty list denies, and says so.',
    id: 'CA-110',
    severity: 'warning',
    check: ({ server }) =>
      when(server.allowedHosts?.length === 0 && !server.dangerouslySkipHostCheck, {
        paths: ['server.allowedHosts', 'server.dangerouslySkipHostCheck'],
        says: 'is empty, so every request is refused',
        fix: 'Leave it out for its default',
      }),
  },
  {
    promise: 'Each limit has a name of its own.',
    id: 'CA-421',
    severity: 'error',
    check: ({ rateLimit }) =>
      rateLimit.rules.flatMap(({ name }, at, all) =>
        when(reserved.test(name) || all.findIndex((rule) => rule.name === name) !== at, {
          paths: [`rateLimit.rules.${at}.name`],
          says: 'is the name of another limit',
          fix: 'Give it another name',
        }),
      ),
  },
  {
    promise: 'A limit is counted in whole numbers.',
    id: 'CA-422',
    severity: 'error',
    check: ({ rateLimit }) =>
      [
        { ...rateLimit, burst: rateLimit.callsMax, at: 'rateLimit' },
        ...rateLimit.rules.map((rule, at) => ({ ...rule, at: `rateLimit.rules.${at}` })),
      ].flatMap(({ at, windowMs, callsMax, burst }) =>
        when(windowMs * (burst ?? callsMax) > 2 ** 51, {
          paths: [`${at}.callsMax`, `${at}.windowMs`],
          says: 'is too many for a window of that length',
          fix: 'Shorten the window and lower the number with it',
        }),
      ),
  },
  {
    promise: 'A limit names scopes that exist, and can hold what a call costs it.',
    id: 'CA-423',
    severity: 'error',
    check: ({ rateLimit, scopes }) =>
      rateLimit.rules.flatMap(({ scopes: named = [], cost = 1, burst, callsMax }, at) => [
        ...when(
          named.some((scope) => !builtInScopes.includes(scope) && !scopes.includes(scope)),
          {
            paths: [`rateLimit.rules.${at}.scopes`, 'scopes'],
            says: 'names a scope that does not exist',
            fix: 'Declare it in scopes, or name read, write or admin',
          },
        ),
        ...when(cost > (burst ?? callsMax), {
          paths: [`rateLimit.rules.${at}.cost`, `rateLimit.rules.${at}.callsMax`],
          says: 'is more than is ever admitted at once',
          fix: 'Lower it, or raise burst',
        }),
      ]),
  },
  {
    promise: 'A server without a limit says so.',
    id: 'CA-401',
    severity: 'warning',
    check: ({ rateLimit }) =>
      when(!rateLimit.enabled, {
        paths: ['rateLimit.enabled'],
        says: 'calls are not limited',
        fix: 'Raise rateLimit.callsMax instead',
      }),
  },
  {
    promise: 'A key for notices signs some.',
    id: 'CA-411',
    severity: 'error',
    check: ({ alerts: { webhook } }) =>
      when(webhook.secret !== undefined && webhook.url === undefined, {
        paths: ['alerts.webhook.secret', 'alerts.webhook.url'],
        says: 'signs nothing without alerts.webhook.url',
        fix: 'Set the address, or leave the secret out',
      }),
  },
  {
    promise: 'A receiver can tell a notice of ours from another.',
    id: 'CA-412',
    severity: 'warning',
    check: ({ alerts: { webhook } }) =>
      when(webhook.url !== undefined && webhook.secret === undefined, {
        paths: ['alerts.webhook.url', 'alerts.webhook.secret'],
        says: 'notices are not signed',
        fix: 'Set alerts.webhook.secret',
      }),
  },
]
