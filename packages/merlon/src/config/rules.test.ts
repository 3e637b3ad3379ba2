import { describe, expect, test } from 'vitest'
import { rules } from './rules.ts'
import { type ConfigInput, configSchema } from './schema.ts'

const certificate = { certificatePath: 'chain.pem', keyPath: 'key.pem' }
const rule = (change: object) => ({ name: 'reports', per: ['principal' as const], callsMax: 10, ...change })
function issuer(more: Partial<Issuer> = {}): Issuer {
  return { issuer: 'https://id.example', tenant: { value: 'default' }, ...more }
}
const introspection = (url: string) => ({ url, clientId: 'merlon', clientSecret: 'env:INTROSPECTION_SECRET' })
type Issuer = NonNullable<NonNullable<ConfigInput['identity']>['issuers']>[number]

type Row = [promise: string, bad: ConfigInput, good: ConfigInput]

/** Each rule by its promise: what earns the finding, and the nearest thing that does not. */
const table: readonly Row[] = [
  [
    'Beyond loopback it is served only with TLS, or behind a named TLS-terminating proxy.',
    { server: { host: '0.0.0.0' } },
    { server: { host: '0.0.0.0', trustedProxies: ['10.0.0.0/8'] } },
  ],
  [
    'Beyond loopback it is served only with TLS, or behind a named TLS-terminating proxy.',
    { server: { host: '0.0.0.0' } },
    { server: { host: '0.0.0.0' }, tls: { certificatePath: 'chain.pem', keyPath: 'key.pem' } },
  ],
  [
    'A certificate comes with its key.',
    { tls: { certificatePath: 'chain.pem' } },
    { tls: { certificatePath: 'chain.pem', keyPath: 'key.pem' } },
  ],
  ['A certificate comes with its key.', { tls: { keyPath: 'key.pem' } }, {}],
  [
    'Beyond loopback it is served only with TLS, or behind a named TLS-terminating proxy.',
    { server: { host: '0.0.0.0' }, tls: { ...certificate, port: 8443 } },
    { server: { host: '127.0.0.1' }, tls: { ...certificate, port: 8443, host: '0.0.0.0' } },
  ],
  ['A port for TLS has a certificate.', { tls: { port: 8443 } }, { tls: { ...certificate, port: 8443 } }],
  [
    'A port for TLS has a certificate.',
    { tls: { ...certificate, host: '0.0.0.0' } },
    { tls: { ...certificate, host: '0.0.0.0', port: 8443 } },
  ],
  [
    'TLS and plain HTTP have a port each.',
    { tls: { ...certificate, port: 4000 } },
    { tls: { ...certificate, port: 4000, host: '10.1.2.3' } },
  ],
  [
    'TLS and plain HTTP have a port each.',
    { server: { port: 4000 }, tls: { ...certificate, port: 4000 } },
    { server: { port: 0 }, tls: { ...certificate, port: 0 } },
  ],
  ...(
    [
      [{ clientCertificate: 'required', clientCaPath: 'ca.pem' }, { clientCertificate: 'off' }],
      [
        { ...certificate, clientCertificate: 'request' },
        { ...certificate, clientCertificate: 'request', clientCaPath: 'ca.pem' },
      ],
      [{ ...certificate, clientCaPath: 'ca.pem' }, certificate],
      [
        { ...certificate, clientCrlPath: 'crl.pem' },
        { ...certificate, clientCertificate: 'required', clientCaPath: 'ca.pem', clientCrlPath: 'crl.pem' },
      ],
    ] as const
  ).map(
    ([bad, good]): Row => [
      'Client certificates are asked for with TLS, and of a named authority.',
      { tls: bad },
      { tls: good },
    ],
  ),
  [
    'The control plane has a port of its own.',
    { server: { port: 4000 }, tls: { ...certificate, port: 4001 } },
    { server: { port: 4000 }, tls: { ...certificate, port: 4001 }, admin: { port: 4002 } },
  ],
  [
    'Beyond loopback the control plane is served only with TLS, or behind a named TLS-terminating proxy.',
    { admin: { host: '0.0.0.0' } },
    { admin: { host: '0.0.0.0' }, tls: { certificatePath: 'chain.pem', keyPath: 'key.pem' } },
  ],
  [
    'Beyond loopback the control plane is served only with TLS, or behind a named TLS-terminating proxy.',
    { admin: { host: '::' } },
    { admin: { host: '::', listener: 'off' } },
  ],
  [
    'The control plane has a port of its own.',
    { server: { port: 4000 }, admin: { port: 4000 } },
    { server: { port: 0 }, admin: { port: 0 } },
  ],
  [
    'The control plane has a port of its own.',
    { server: { port: 65_535 } },
    { server: { port: 65_535 }, admin: { port: 4001 } },
  ],
  [
    'Beside the MCP endpoint the control plane has paths of its own.',
    { admin: { listener: 'shared' }, server: { endpoint: '/api/mcp' } },
    { admin: { listener: 'own' }, server: { endpoint: '/api/mcp' } },
  ],
  [
    'Beside the MCP endpoint the control plane has paths of its own.',
    { admin: { listener: 'shared' }, health: { path: '/metrics' } },
    { admin: { listener: 'shared' }, health: { path: '/apish' } },
  ],
  [
    'On loopback the Host check cannot be skipped.',
    { server: { host: '127.0.0.1', dangerouslySkipHostCheck: true } },
    { server: { host: '10.1.2.3', trustedProxies: ['10.0.0.0/8'], dangerouslySkipHostCheck: true } },
  ],
  [
    'On loopback the Origin check cannot be skipped.',
    { server: { host: 'localhost' }, cors: { dangerouslySkipOriginCheck: true } },
    { server: { host: '::', trustedProxies: ['10.0.0.0/8'] }, cors: { dangerouslySkipOriginCheck: true } },
  ],
  [
    'A skipped Host check is said at every start.',
    { server: { host: '0.0.0.0', trustedProxies: ['10.0.0.0/8'], dangerouslySkipHostCheck: true } },
    { server: { host: '0.0.0.0', trustedProxies: ['10.0.0.0/8'] } },
  ],
  [
    'A skipped Origin check is said at every start.',
    { server: { host: '0.0.0.0', trustedProxies: ['10.0.0.0/8'] }, cors: { dangerouslySkipOriginCheck: true } },
    { server: { host: '0.0.0.0', trustedProxies: ['10.0.0.0/8'] } },
  ],
  [
    'The endpoint, the health path and /ready are three different paths.',
    { server: { endpoint: '/health' } },
    { server: { endpoint: '/health' }, health: { path: '/alive' } },
  ],
  [
    'The endpoint, the health path and /ready are three different paths.',
    { health: { path: '/ready' } },
    { health: { path: '/ready2' } },
  ],
  [
    'A key that names no lifetime lives no longer than any key may.',
    { authentication: { keyLifetimeDays: 31, keyLifetimeDaysMax: 30 } },
    { authentication: { keyLifetimeDays: 30, keyLifetimeDaysMax: 30 } },
  ],
  [
    'A role names scopes that exist.',
    { roles: { operator: ['admin'], user: ['files:write'] } },
    { scopes: ['files:write'], roles: { operator: ['admin'], user: ['files:write'] } },
  ],
  ['The role of the first key exists.', { roles: { user: ['read'] } }, { roles: { operator: [] } }],
  [
    'An issuer is listed once, and http to it is asked for by name.',
    { identity: { issuers: [issuer(), issuer()] } },
    { identity: { issuers: [issuer(), issuer({ issuer: 'https://other.example' })] } },
  ],
  [
    'An issuer is listed once, and http to it is asked for by name.',
    { identity: { issuers: [issuer({ jwksUri: 'http://127.0.0.1:9/jwks' })] } },
    { identity: { issuers: [issuer({ jwksUri: 'http://127.0.0.1:9/jwks', dangerouslyAllowHttp: true })] } },
  ],
  [
    'An issuer is listed once, and http to it is asked for by name.',
    { identity: { issuers: [issuer({ introspection: introspection('http://127.0.0.1:9/introspect') })] } },
    { identity: { issuers: [issuer({ introspection: introspection('https://id.example/introspect') })] } },
  ],
  [
    'What opens the MCP endpoint opens nothing at the control plane.',
    { identity: { issuers: [issuer({ audience: 'merlon', controlAudience: 'merlon' })] } },
    { identity: { issuers: [issuer({ audience: 'merlon', controlAudience: 'merlon-control' })] } },
  ],
  [
    'An issuer grants roles that exist.',
    { identity: { issuers: [issuer({ role: { claim: 'role', values: { Boss: 'chief' } } })] } },
    { identity: { issuers: [issuer({ role: { claim: 'role', values: { Boss: 'admin' } } })] } },
  ],
  [
    'Session ids and event ids travel in headers of their own.',
    { session: { headerName: 'authorization' } },
    { session: { headerName: 'X-Session' } },
  ],
  [
    'Session ids and event ids travel in headers of their own.',
    { session: { headerName: 'last-event-id' } },
    { session: { headerName: 'Mcp-Session-Id' } },
  ],
  [
    'Keys do not travel in clear without a word.',
    { server: { publicUrl: 'http://mcp.example' } },
    { server: { publicUrl: 'http://[::1]:4000' } },
  ],
  [
    'An empty list denies, and says so.',
    { server: { allowedHosts: [] } },
    { server: { allowedHosts: ['mcp.example'] } },
  ],
  [
    'A key for notices signs some.',
    { alerts: { webhook: { secret: 'env:K' } } },
    { alerts: { webhook: { secret: 'env:K', url: 'env:U' } } },
  ],
  [
    'A receiver can tell a notice of ours from another.',
    { alerts: { webhook: { url: 'env:U' } } },
    { alerts: { webhook: { url: 'env:U', secret: 'env:K' } } },
  ],
  [
    'Each limit has a name of its own.',
    { rateLimit: { rules: [rule({ name: 'calls' })] } },
    { rateLimit: { rules: [rule({ name: 'reports' })] } },
  ],
  [
    'Each limit has a name of its own.',
    { rateLimit: { rules: [rule({}), rule({})] } },
    { rateLimit: { rules: [rule({}), rule({ name: 'other' })] } },
  ],
  [
    'Each limit has a name of its own.',
    { rateLimit: { rules: [rule({ name: 'login-account' })] } },
    { rateLimit: { rules: [rule({ name: 'log-in' })] } },
  ],
  [
    'A limit is counted in whole numbers.',
    { rateLimit: { callsMax: 1_000_000_000, windowMs: 2_251_800 } },
    { rateLimit: { callsMax: 1_000_000_000, windowMs: 2_251_799 } },
  ],
  [
    'A limit is counted in whole numbers.',
    { rateLimit: { rules: [rule({ burst: 1_000_000_000, windowMs: 2_251_800 })] } },
    { rateLimit: { rules: [rule({ callsMax: 1_000_000_000, burst: 5, windowMs: 2_251_800 })] } },
  ],
  [
    'A limit names scopes that exist, and can hold what a call costs it.',
    { rateLimit: { rules: [rule({ scopes: ['files:write'] })] } },
    { scopes: ['files:write'], rateLimit: { rules: [rule({ scopes: ['files:write', 'admin'] })] } },
  ],
  [
    'A limit names scopes that exist, and can hold what a call costs it.',
    { rateLimit: { rules: [rule({ callsMax: 10, burst: 5, cost: 6 })] } },
    { rateLimit: { rules: [rule({ callsMax: 5, burst: 6, cost: 6 })] } },
  ],
  [
    'Compressed answers to credentials are said at every start.',
    { compression: { enabled: true, dangerouslyIncludeCredentialed: true } },
    { compression: { enabled: true } },
  ],
  ['A server without a limit says so.', { rateLimit: { enabled: false } }, { rateLimit: { callsMax: 100_000 } }],
]

describe.each(table)('%s', (promise, bad, good) => {
  const rule = rules.find((one) => one.promise === promise)!

  test('is found where it is broken', () => {
    expect(rule.check(configSchema.parse(bad))).not.toEqual([])
  })

  test('is silent where it is kept', () => {
    expect(rule.check(configSchema.parse(good))).toEqual([])
  })
})

test('every rule has its pair here', () => {
  expect(rules.map(({ promise }) => promise).filter((promise) => !table.some(([named]) => named === promise))).toEqual(
    [],
  )
})

test('the defaults break no rule', () => {
  expect(rules.flatMap((rule) => rule.check(configSchema.parse({})))).toEqual([])
})
