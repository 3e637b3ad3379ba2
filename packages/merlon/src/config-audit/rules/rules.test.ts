import { describe, expect, test } from 'vitest'
import { rules as loaderRules } from '../../config/rules.ts'
import { day, type FactsGiven, factsOf, now } from '../facts.fixture.ts'
import { audit, severities } from '../rule.ts'
import { sources } from '../sources.ts'
import { ruleGroups, rules } from './rules.ts'

const placeholder = 'your-32-byte-encryption-key-here'
const good = 'iJ5pVq0zR7wYc2tNf8xLk3hBg6mDs1aEu9oPvTjQyXw'
const beyond = { host: '10.1.2.3', publicUrl: 'https://mcp.example', trustedProxies: ['10.1.2.0/24'] }
const tls = { certificatePath: 'chain.pem', keyPath: 'key.pem' }
const admin = ['admin']
const image = (...dockerfile: string[]): FactsGiven => ({
  packages: { dockerfile, dockerIgnored: ['.env', '.merlon/'] },
})
const locked = (name: string, version: string, more: object = {}): FactsGiven => ({
  packages: {
    locked: [{ name, version, integrity: true, resolved: `https://registry.example/${name}.tgz`, ...more }],
  },
})

const issuers = (...entries: object[]): FactsGiven => ({
  text: JSON.stringify({
    identity: { issuers: entries.map((entry) => ({ issuer: 'https://id.example', tenant: { value: 'a' }, ...entry })) },
  }),
})
const limit = (rule: object): FactsGiven => ({
  text: JSON.stringify({ rateLimit: { rules: [{ name: 'reports', per: ['principal'], callsMax: 10, ...rule }] } }),
})
const webhook = (more: object): FactsGiven => ({
  text: JSON.stringify({ alerts: { webhook: { url: 'env:ALERT_URL', ...more } } }),
  env: { ALERT_URL: 'https://alerts.example/a', ALERT_SECRET: good },
})

type Row = readonly [id: string, where: string, bad: FactsGiven, good: FactsGiven]

/** Each rule: what earns its finding, with the place it names, and the nearest thing that does not. */
const table: readonly Row[] = [
  ['CA-001', 'merlon.config.json:1', { text: '{ "servr": {} }' }, { text: '{ "server": {} }' }],
  ['CA-002', 'merlon.config.json:1', { text: `{ "secrets": { "rootKey": "${good}" } }` }, { config: {} }],
  ['CA-003', 'env:ENCRYPTION_KEY', { env: { ENCRYPTION_KEY: placeholder } }, { env: { ENCRYPTION_KEY: good } }],
  ['CA-003', 'env:JWT_SECRET', { env: { JWT_SECRET: 'your-jwt-secret-key' } }, { env: { JWT_SECRET: good } }],
  [
    'CA-003',
    'env:DATABASE_URL',
    { env: { DATABASE_URL: 'postgres://merlon:changeme@db.example/merlon' } },
    { env: { DATABASE_URL: 'postgres://merlon:v9dK2mPx@db.example/merlon' } },
  ],
  [
    'CA-004',
    'merlon.config.json:1',
    { config: { secrets: { rootKey: 'env:ROOT' } } },
    { config: { secrets: { rootKey: 'env:ROOT' } }, env: { ROOT: good } },
  ],
  [
    'CA-005',
    'env:API_KEY_SECRET',
    { env: { ENCRYPTION_KEY: good, API_KEY_SECRET: good } },
    { env: { ENCRYPTION_KEY: good } },
  ],
  [
    'CA-006',
    'merlon.config.json:1',
    { config: { secrets: { rootKey: 'file:root' } }, files: { root: { text: good, mode: 0o640 } } },
    { config: { secrets: { rootKey: 'file:root' } }, files: { root: { text: good } } },
  ],
  [
    'CA-007',
    'env:ENCRYPTION_KEY',
    { process: { secretVariables: ['ENCRYPTION_KEY'] } },
    { process: { secretVariables: [] } },
  ],

  [
    'CA-101',
    'merlon.config.json:1',
    { config: { server: { host: '0.0.0.0' } } },
    { config: { server: { host: '127.0.0.1' } } },
  ],
  [
    'CA-102',
    'merlon.config.json:1',
    { config: { server: { dangerouslySkipHostCheck: true } } },
    { config: { server: { dangerouslySkipHostCheck: false } } },
  ],
  [
    'CA-103',
    'merlon.config.json:1',
    { config: { cors: { dangerouslySkipOriginCheck: true } } },
    { config: { cors: { dangerouslySkipOriginCheck: false } } },
  ],
  [
    'CA-104',
    'merlon.config.json:1',
    { config: { server: { ...beyond, dangerouslySkipHostCheck: true } } },
    { config: { server: beyond } },
  ],
  [
    'CA-105',
    'merlon.config.json:1',
    { config: { server: beyond, cors: { dangerouslySkipOriginCheck: true } } },
    { config: { server: beyond } },
  ],
  ...['*', 'null', 'https://*.example'].map(
    (origin): Row => [
      'CA-106',
      'merlon.config.json:1',
      { config: { cors: { allowedOrigins: [origin] } } },
      { config: { cors: { allowedOrigins: ['https://app.example'] } } },
    ],
  ),
  [
    'CA-107',
    'merlon.config.json:1',
    { config: { cors: { allowedOrigins: ['http://app.example'] } } },
    { config: { cors: { allowedOrigins: ['https://app.example', 'http://localhost:3000', 'http://[::1]:3000'] } } },
  ],
  [
    'CA-108',
    'merlon.config.json:1',
    { config: { server: { publicUrl: 'http://mcp.example' } } },
    { config: { server: { publicUrl: 'https://mcp.example' } } },
  ],
  [
    'CA-109',
    'merlon.config.json:1',
    { config: { server: { trustedProxies: ['10.0.0.0/8'] } } },
    { config: { server: { trustedProxies: ['10.1.2.0/24', 'fd00:1::/64'] } } },
  ],
  [
    'CA-109',
    'merlon.config.json:1',
    { config: { server: { trustedProxies: ['fd00::/8'] } } },
    { config: { server: { trustedProxies: [] } } },
  ],
  ['CA-110', 'merlon.config.json:1', { config: { server: { allowedHosts: [] } } }, { config: { server: {} } }],
  [
    'CA-111',
    'merlon.config.json:1',
    { config: { cors: { allowedHeaders: ['X-Forwarded-For'] } } },
    { config: { cors: { allowedHeaders: ['X-Trace'] } } },
  ],
  [
    'CA-111',
    'merlon.config.json:1',
    { config: { cors: { exposedHeaders: ['Set-Cookie'] } } },
    { config: { cors: { exposedHeaders: ['X-Trace'] } } },
  ],
  [
    'CA-116',
    'merlon.config.json:1',
    { config: { compression: { enabled: true, dangerouslyIncludeCredentialed: true } } },
    { config: { compression: { enabled: true } } },
  ],
  [
    'CA-112',
    'merlon.config.json:1',
    { config: { health: { path: '/mcp/ticket' }, webSocket: { enabled: true } } },
    { config: { health: { path: '/mcp/ticket' } } },
  ],
  [
    'CA-112',
    'merlon.config.json:1',
    { config: { server: { endpoint: '/ready' } } },
    { config: { server: { endpoint: '/mcp' } } },
  ],
  [
    'CA-113',
    'merlon.config.json:1',
    { config: { session: { headerName: 'Origin' } } },
    { config: { session: { headerName: 'X-Session' } } },
  ],
  [
    'CA-114',
    'merlon.config.json:1',
    { config: { server: { ...beyond, host: '0.0.0.0' } } },
    { config: { server: { ...beyond, host: '0.0.0.0' }, tls } },
  ],
  [
    'CA-114',
    'merlon.config.json:1',
    { config: { server: { ...beyond, host: '0.0.0.0' }, tls: { ...tls, port: 8_443 } } },
    { config: { server: beyond, tls: { ...tls, port: 8_443, host: '0.0.0.0' } } },
  ],
  [
    'CA-115',
    'merlon.config.json:1',
    { config: { tls: { ...tls, port: 8_443, host: '0.0.0.0' } } },
    { config: { tls: { ...tls, port: 8_443 } } },
  ],
  [
    'CA-115',
    'merlon.config.json:1',
    { config: { server: { host: '10.1.2.3', trustedProxies: ['10.1.2.0/24'] } } },
    { config: { server: beyond } },
  ],

  [
    'CA-121',
    'merlon.config.json:1',
    { config: { admin: { host: '10.1.2.3' } } },
    { config: { admin: { host: '10.1.2.3' }, tls } },
  ],
  ['CA-122', 'merlon.config.json:1', { config: { admin: { port: 4_000 } } }, { config: { admin: { port: 4_002 } } }],
  [
    'CA-123',
    'merlon.config.json:1',
    { config: { admin: { listener: 'shared' }, server: { endpoint: '/api/mcp' } } },
    { config: { admin: { listener: 'own' }, server: { endpoint: '/api/mcp' } } },
  ],
  [
    'CA-124',
    'merlon.config.json:1',
    { config: { admin: { listener: 'shared' } } },
    { config: { admin: { listener: 'off' } } },
  ],
  [
    'CA-125',
    'merlon.config.json:1',
    { config: { admin: { host: '10.1.2.3' }, tls } },
    { config: { admin: { host: '10.1.2.3', listener: 'off' }, tls } },
  ],
  [
    'CA-126',
    'merlon.config.json:1',
    { config: { admin: { publicUrl: 'http://control.example' } } },
    { config: { admin: { publicUrl: 'http://127.0.0.1:4001' } } },
  ],

  ['CA-201', 'merlon.config.json:1', { config: { tls: { keyPath: 'key.pem' } } }, { config: { tls } }],
  ['CA-202', 'chain.pem', { certificate: { notAfter: now } }, { certificate: { notAfter: now + day } }],
  ['CA-202', 'chain.pem', { certificate: { notBefore: now + 1 } }, { certificate: { notBefore: now } }],
  ['CA-203', 'chain.pem', { certificate: { notAfter: now + 13 * day } }, { certificate: { notAfter: now + 14 * day } }],
  [
    'CA-204',
    'chain.pem',
    { certificate: { key: { kind: 'rsa', bits: 1_024 } } },
    { certificate: { key: { kind: 'rsa', bits: 2_048 } } },
  ],
  [
    'CA-204',
    'chain.pem',
    { certificate: { key: { kind: 'ec', bits: 224 } } },
    { certificate: { key: { kind: 'ed25519', bits: 256 } } },
  ],
  [
    'CA-205',
    '.merlon/private key',
    { placed: [{ role: 'private key', mode: 0o640 }] },
    { placed: [{ role: 'private key', mode: 0o600 }] },
  ],
  ['CA-206', 'chain.pem', { certificate: { namesPublicHost: false } }, { certificate: { namesPublicHost: undefined } }],
  ['CA-207', 'chain.pem', { certificate: { selfSigned: true } }, { certificate: { selfSigned: false } }],
  [
    'CA-207',
    'chain.pem',
    { certificate: { selfSigned: true } },
    { certificate: { selfSigned: true, namesPublicHost: undefined } },
  ],
  [
    'CA-208',
    'env:HTTPS_PORT',
    { env: { HTTPS_PORT: '8443' } },
    { env: { HTTPS_PORT: '8443', SSL_CERT_PATH: 'chain.pem', SSL_KEY_PATH: 'key.pem' } },
  ],
  ['CA-209', 'merlon.config.json:1', { config: { tls: { ...tls, port: 4_000 } } }, { config: { tls } }],
  [
    'CA-210',
    'merlon.config.json:1',
    { config: { tls: { ...tls, clientCertificate: 'required' } } },
    { config: { tls: { ...tls, clientCertificate: 'required', clientCaPath: 'ca.pem' } } },
  ],
  [
    'CA-211',
    'merlon.config.json:1',
    { config: { tls: { ...tls, clientCertificate: 'required', clientCaPath: 'ca.pem', port: 8_443 } } },
    { config: { tls: { ...tls, clientCertificate: 'required', clientCaPath: 'ca.pem' } } },
  ],
  ['CA-251', '.env:URL', { database: { encrypted: false } }, { database: { encrypted: false, remote: false } }],
  ['CA-252', '.env:URL', { database: { verified: false } }, { database: { verified: true } }],
  [
    'CA-253',
    '.env:URL',
    { database: { role: { superuser: true, bypassesRowSecurity: false } } },
    { database: { role: undefined } },
  ],
  [
    'CA-253',
    '.env:URL',
    { database: { role: { superuser: false, bypassesRowSecurity: true } } },
    { database: { role: { superuser: false, bypassesRowSecurity: false } } },
  ],
  ['CA-254', '.env:URL', { database: { password: false } }, { database: { password: false, remote: false } }],
  ['CA-255', '.env:URL', { redis: { encrypted: false } }, { redis: { encrypted: false, remote: false } }],
  ['CA-256', '.env:URL', { redis: { password: false } }, { redis: { password: true } }],

  [
    'CA-301',
    'merlon.config.json:1',
    { config: { authentication: { keyLifetimeDays: 181 } } },
    { config: { authentication: { keyLifetimeDays: 180 } } },
  ],
  [
    'CA-302',
    'merlon.config.json:1',
    { config: { authentication: { keyLifetimeDaysMax: 366 } } },
    { config: { authentication: { keyLifetimeDaysMax: 365 } } },
  ],
  [
    'CA-303',
    'merlon.config.json:1',
    { config: { authentication: { keyLifetimeDays: 31, keyLifetimeDaysMax: 30 } } },
    { config: { authentication: { keyLifetimeDays: 30, keyLifetimeDaysMax: 30 } } },
  ],
  [
    'CA-304',
    'merlon.config.json:1',
    { config: { roles: { operator: ['amdin'] } } },
    { config: { roles: { operator: ['admin'] } } },
  ],
  [
    'CA-305',
    'merlon.config.json:1',
    { config: { roles: { user: ['read'] } } },
    { config: { roles: { operator: admin } } },
  ],
  [
    'CA-306',
    'merlon.config.json:1',
    { config: { roles: { operator: admin, user: ['read', 'admin'] } } },
    { config: { roles: { operator: admin, user: ['read'] } } },
  ],
  [
    'CA-307',
    'merlon.config.json:1',
    { config: { roles: { operator: admin, helper: admin } } },
    { config: { roles: { operator: admin, admin } } },
  ],
  [
    'CA-308',
    'merlon.config.json:1',
    { config: { scopes: ['files:write'] } },
    { config: { scopes: ['files:write'], roles: { operator: ['admin', 'files:write'] } } },
  ],
  [
    'CA-309',
    'merlon.config.json:1',
    { config: { roles: { operator: admin, guest: [] } } },
    { config: { roles: { operator: admin, guest: ['read'] } } },
  ],
  ['CA-310', 'key_a1', { keys: [{ createdAt: now - 366 * day }] }, { keys: [{ createdAt: now - 365 * day }] }],
  ['CA-311', 'key_a1', { keys: [{ lastUsedAt: now - 91 * day }] }, { keys: [{ lastUsedAt: now - 90 * day }] }],
  [
    'CA-311',
    'key_a1',
    { keys: [{ createdAt: now - 91 * day, lastUsedAt: undefined }] },
    { keys: [{ createdAt: now - 90 * day, lastUsedAt: undefined }] },
  ],
  [
    'CA-312',
    'key_a1',
    { keys: [{ scopes: admin, createdAt: now, expiresAt: now + 92 * day }] },
    { keys: [{ scopes: admin, createdAt: now, expiresAt: now + 90 * day }] },
  ],
  ['CA-313', 'key_a1', { keys: [{ name: 'first-start' }] }, { keys: [{ name: 'first' }] }],
  [
    'CA-314',
    'tenant default',
    { keys: Array(6).fill({ scopes: admin }) },
    { keys: [...Array(5).fill({ scopes: admin }), { scopes: admin, tenant: 'other' }] },
  ],
  [
    'CA-315',
    'key_a1',
    { keys: [{ createdAt: now - 80 * day, expiresAt: now + 6 * day }] },
    { keys: [{ createdAt: now - day, expiresAt: now + 6 * day }] },
  ],
  ['CA-316', 'the store', { operators: 4 }, { operators: 3 }],
  [
    'CA-317',
    'merlon.config.json:1',
    { config: { authentication: { login: { attemptsMax: 101 } } } },
    { config: { authentication: { login: { attemptsMax: 100 } } } },
  ],
  [
    'CA-318',
    'merlon.config.json:1',
    { config: { authentication: { login: { signInLifetimeMs: 86_400_001 } } } },
    { config: { authentication: { login: { signInLifetimeMs: 86_400_000 } } } },
  ],
  [
    'CA-319',
    'merlon.config.json:1',
    { config: { identity: { tokens: { signingKeyDays: 91 } } } },
    { config: { identity: { tokens: { signingKeyDays: 90 } } } },
  ],

  ['CA-331', 'merlon.config.json:1', issuers({}, {}), issuers({})],
  [
    'CA-332',
    'merlon.config.json:1',
    issuers({ audience: 'https://mcp.example/mcp', controlAudience: 'https://mcp.example/mcp' }),
    issuers({ audience: 'https://mcp.example/mcp', controlAudience: 'https://mcp.example/api' }),
  ],
  ['CA-333', 'merlon.config.json:1', issuers({ role: { value: 'clerk' } }), issuers({ role: { value: 'user' } })],
  [
    'CA-334',
    'merlon.config.json:1',
    issuers({ issuer: 'http://127.0.0.1:9000', dangerouslyAllowHttp: true }),
    issuers({ dangerouslyAllowHttp: false }),
  ],
  ['CA-335', 'merlon.config.json:1', issuers({ dpop: 'optional' }), issuers({ dpop: 'required' })],
  [
    'CA-336',
    'merlon.config.json:1',
    issuers({ types: ['at+jwt', 'JWT'] }),
    issuers({ types: ['at+jwt', 'JWT'], required: { typ: 'Bearer' } }),
  ],
  ['CA-336', 'merlon.config.json:1', issuers({ untyped: true }), issuers({ types: ['application/at+jwt'] })],
  ['CA-337', 'merlon.config.json:1', issuers({ lifetimeMsMax: 86_400_001 }), issuers({ lifetimeMsMax: 86_400_000 })],
  [
    'CA-338',
    'merlon.config.json:1',
    issuers({ role: { value: 'admin' } }),
    issuers({ role: { value: 'admin' }, scopesMax: ['read'] }),
  ],

  [
    'CA-401',
    'merlon.config.json:1',
    { config: { rateLimit: { enabled: false } } },
    { config: { rateLimit: { enabled: true } } },
  ],
  [
    'CA-402',
    'merlon.config.json:1',
    { config: { rateLimit: { callsMax: 6_001 } } },
    { config: { rateLimit: { callsMax: 6_000 } } },
  ],
  ['CA-402', 'merlon.config.json:1', limit({ callsMax: 6_001 }), limit({ callsMax: 6_001, per: ['everyone'] })],
  [
    'CA-403',
    'merlon.config.json:1',
    { config: { rateLimit: { failuresMax: 61 } } },
    { config: { rateLimit: { failuresMax: 60 } } },
  ],
  [
    'CA-404',
    'merlon.config.json:1',
    { config: { limits: { messageBytesMax: 16_777_217 } } },
    { config: { limits: { messageBytesMax: 16_777_216 } } },
  ],
  [
    'CA-405',
    'merlon.config.json:1',
    { config: { limits: { jsonDepthMax: 129 } } },
    { config: { limits: { jsonDepthMax: 128 } } },
  ],
  [
    'CA-405',
    'merlon.config.json:1',
    { config: { limits: { jsonNodesMax: 500_001 } } },
    { config: { limits: { jsonNodesMax: 500_000 } } },
  ],
  [
    'CA-406',
    'merlon.config.json:1',
    { config: { limits: { callTimeoutMs: 600_001 } } },
    { config: { limits: { callTimeoutMs: 600_000 } } },
  ],
  [
    'CA-407',
    'merlon.config.json:1',
    { config: { session: { durationMs: 86_400_001 } } },
    { config: { session: { durationMs: 86_400_000 } } },
  ],
  [
    'CA-407',
    'merlon.config.json:1',
    { config: { session: { idleMs: 28_800_001 } } },
    { config: { session: { idleMs: 28_800_001, enabled: false } } },
  ],
  [
    'CA-408',
    'merlon.config.json:1',
    { config: { session: { perPrincipalMax: 20_000 } } },
    { config: { session: { perPrincipalMax: 19_999 } } },
  ],
  [
    'CA-408',
    'merlon.config.json:1',
    { config: { session: { perTenantMax: 100_000 } } },
    { config: { session: { perTenantMax: 99_999 } } },
  ],
  [
    'CA-409',
    'merlon.config.json:1',
    { config: { limits: { connectionsPerAddressMax: 5_001 } } },
    { config: { limits: { connectionsPerAddressMax: 5_000 } } },
  ],
  [
    'CA-409',
    'merlon.config.json:1',
    { config: { limits: { connectionsPerAddressMax: 10_000 } } },
    { config: { limits: { connectionsPerAddressMax: 10_000 }, server: { trustedProxies: ['10.1.2.3/32'] } } },
  ],
  [
    'CA-410',
    'merlon.config.json:1',
    { config: { limits: { streamBufferBytesMax: 8_388_608 } } },
    { config: { limits: { streamBufferBytesMax: 4_194_304 } } },
  ],
  [
    'CA-411',
    'merlon.config.json:1',
    { config: { resumability: { historyMs: 86_400_001 } } },
    { config: { resumability: { historyMs: 86_400_000 } } },
  ],
  [
    'CA-412',
    'merlon.config.json:1',
    { config: { limits: { callsPerPrincipalMax: 1_001 } } },
    { config: { limits: { callsPerPrincipalMax: 1_000 } } },
  ],
  [
    'CA-413',
    'merlon.config.json:1',
    { config: { limits: { eventLoopDelayMsMax: 30_001 } } },
    { config: { limits: { eventLoopDelayMsMax: 30_000 } } },
  ],
  [
    'CA-414',
    'merlon.config.json:1',
    limit({ scopes: ['write'], onStoreFailure: 'limit-locally' }),
    limit({ scopes: ['read'], onStoreFailure: 'limit-locally' }),
  ],
  [
    'CA-415',
    'merlon.config.json:1',
    { config: { rateLimit: { count: 'successes', rules: [] } } },
    { config: { rateLimit: { count: 'successes' } } },
  ],
  [
    'CA-416',
    'merlon.config.json:1',
    { config: { rateLimit: { localShare: 0.51 } }, env: { REDIS_URL: 'rediss://a:b@redis.example' } },
    { config: { rateLimit: { localShare: 0.51 } } },
  ],
  [
    'CA-417',
    'merlon.config.json:1',
    { env: { DATABASE_URL: 'postgres://a:v9dK2mPx@db.example/a' } },
    { env: { DATABASE_URL: 'postgres://a:v9dK2mPx@db.example/a', REDIS_URL: 'rediss://a:b@redis.example' } },
  ],
  [
    'CA-402',
    'merlon.config.json:1',
    { config: { webSocket: { enabled: true, callsMax: 6_001 } } },
    { config: { webSocket: { enabled: true, callsMax: 6_000 } } },
  ],
  [
    'CA-418',
    'merlon.config.json:1',
    { config: { webSocket: { enabled: true, perPrincipalMax: 501 } } },
    { config: { webSocket: { enabled: true, perPrincipalMax: 500 } } },
  ],
  [
    'CA-418',
    'merlon.config.json:1',
    { config: { webSocket: { enabled: true, totalMax: 5_001 } } },
    { config: { webSocket: { enabled: true, totalMax: 5_000 } } },
  ],
  ['CA-421', 'merlon.config.json:1', limit({ name: 'messages' }), limit({ name: 'message' })],
  ['CA-421', 'merlon.config.json:1', limit({ name: 'failures' }), limit({ name: 'reports' })],
  [
    'CA-422',
    'merlon.config.json:1',
    limit({ callsMax: 1e9, windowMs: 2_147_483_647 }),
    limit({ callsMax: 1_000, windowMs: 2_147_483_647 }),
  ],
  ['CA-423', 'merlon.config.json:1', limit({ scopes: ['wirte'] }), limit({ scopes: ['write'] })],

  [
    'CA-501',
    '/dev/null',
    { placed: [{ role: 'audit log', kind: 'other', path: '/dev/null' }] },
    { placed: [{ role: 'audit log' }] },
  ],
  [
    'CA-502',
    '.merlon/audit log',
    { placed: [{ role: 'audit log', mode: 0o640 }] },
    { placed: [{ role: 'audit log', mode: 0o600 }] },
  ],
  [
    'CA-503',
    '/tmp/data',
    { placed: [{ role: 'data folder', path: '/tmp/data', temporary: true }] },
    { placed: [{ role: 'data folder' }] },
  ],
  [
    'CA-504',
    '.merlon/audit log',
    { placed: [{ role: 'audit log' }], repository: { freeBytes: 536_870_911 } },
    { repository: { freeBytes: 536_870_912 } },
  ],
  ['CA-505', 'merlon.config.json:1', { config: { log: { level: 'debug' } } }, { config: { log: { level: 'info' } } }],
  ['CA-506', 'merlon.config.json:1', { config: { log: { level: 'silent' } } }, { config: { log: { level: 'error' } } }],
  [
    'CA-507',
    '.merlon/audit log',
    { placed: [{ role: 'audit log', changedAt: now + 60_001 }] },
    { placed: [{ role: 'audit log', changedAt: now + 60_000 }] },
  ],

  [
    'CA-508',
    'merlon.config.json:1',
    { config: { audit: { heads: {} } } },
    { config: { audit: { heads: { file: '/mnt/elsewhere/heads.jsonl' } } } },
  ],
  ['CA-509', 'merlon.config.json:1', { config: { alerts: {} } }, webhook({})],
  ['CA-510', 'merlon.config.json:1', webhook({}), webhook({ secret: 'env:ALERT_SECRET' })],
  ['CA-511', 'merlon.config.json:1', { config: { audit: { keepDays: 89 } } }, { config: { audit: { keepDays: 90 } } }],
  [
    'CA-512',
    'merlon.config.json:1',
    { config: { audit: { headMs: 600_001 } } },
    { config: { audit: { headMs: 600_000 } } },
  ],
  [
    'CA-513',
    'merlon.config.json:1',
    { config: { alerts: { authFailuresPerMinute: 601 } } },
    { config: { alerts: { authFailuresPerMinute: 600 } } },
  ],
  [
    'CA-514',
    'merlon.config.json:1',
    { config: { metrics: { tenants: true } } },
    { config: { metrics: { tenants: false } } },
  ],
  [
    'CA-515',
    'merlon.config.json:1',
    { config: { audit: { keepBytes: 268_435_455 } } },
    { config: { audit: { keepBytes: 268_435_456 } } },
  ],

  ['CA-601', 'merlon.config.json', { mode: 0o602 }, { mode: 0o600 }],
  [
    'CA-602',
    '.env',
    { files: { '.env': { text: `ENCRYPTION_KEY=${good}`, mode: 0o644 } } },
    { files: { '.env': { text: 'PORT=4100', mode: 0o644 } } },
  ],
  [
    'CA-603',
    '.merlon/data folder',
    { placed: [{ role: 'data folder', mode: 0o720 }] },
    { placed: [{ role: 'data folder', mode: 0o755 }] },
  ],
  [
    'CA-604',
    '.merlon/data folder',
    { placed: [{ role: 'data folder', mode: 0o750 }] },
    { placed: [{ role: 'data folder', mode: 0o700 }] },
  ],
  ['CA-605', '.merlon/root key', { placed: [{ role: 'root key', mode: 0o604 }] }, { placed: [{ role: 'root key' }] }],
  ['CA-606', '.merlon/database', { placed: [{ role: 'database', mode: 0o640 }] }, { placed: [{ role: 'database' }] }],
  [
    'CA-607',
    'merlon.db-wal',
    { placed: [{ role: 'file beside the database', path: 'merlon.db-wal', mode: 0o644 }] },
    { placed: [{ role: 'file beside the database' }] },
  ],
  [
    'CA-608',
    '.merlon/root key',
    { placed: [{ role: 'root key', owner: 1_001 }] },
    { placed: [{ role: 'root key', owner: 0 }] },
  ],
  [
    'CA-609',
    '.merlon/configuration',
    { placed: [{ role: 'configuration', mode: 0o660 }] },
    { placed: [{ role: 'configuration', mode: 0o644 }] },
  ],
  [
    'CA-610',
    '.merlon/catalog folder',
    { placed: [{ role: 'catalog folder', mode: 0o777 }] },
    { placed: [{ role: 'catalog folder', mode: 0o775 }] },
  ],
  ['CA-611', '.env', { repository: { tracked: ['.env'] } }, { repository: { tracked: [] } }],
  [
    'CA-612',
    '.gitignore',
    { repository: { ignored: ['node_modules/', '.env'] } },
    { repository: { ignored: ['.merlon/', '/.env'] } },
  ],

  ['CA-701', '--inspect', { process: { exposed: '--inspect' } }, {}],
  [
    'CA-702',
    '--insecure-http-parser',
    { process: { flags: ['--insecure-http-parser'] } },
    { process: { flags: ['--no-insecure-http-parser'] } },
  ],
  [
    'CA-703',
    'env:NODE_TLS_REJECT_UNAUTHORIZED',
    { process: { variables: new Map([['NODE_TLS_REJECT_UNAUTHORIZED', '0']]) } },
    { process: { variables: new Map([['NODE_TLS_REJECT_UNAUTHORIZED', '1']]) } },
  ],
  [
    'CA-704',
    '--tls-keylog',
    { process: { flags: ['--tls-keylog=/tmp/keys'] } },
    { process: { flags: ['--trace-warnings'] } },
  ],
  [
    'CA-705',
    '--security-revert',
    { process: { flags: ['--security-revert=CVE-2023-46809'] } },
    { process: { flags: ['--secure-heap=4096'] } },
  ],
  ['CA-706', '--tls-min-v1.0', { process: { flags: ['--tls-min-v1.0'] } }, { process: { flags: ['--tls-min-v1.3'] } }],
  [
    'CA-707',
    'env:DEBUG',
    { process: { variables: new Map([['DEBUG', 'ioredis:*']]) } },
    { process: { variables: new Map([['DEBUG', '']]) } },
  ],
  ['CA-708', 'Node.js', { process: { nodeVersion: '24.20.9' } }, { process: { nodeVersion: '24.21.0' } }],
  ['CA-708', 'Node.js', { process: { nodeVersion: '25.9.0' } }, { process: { nodeVersion: '27.0.0' } }],
  ['CA-709', 'the process', { process: { user: 0 } }, { process: { user: undefined } }],
  [
    'CA-710',
    '--import',
    { process: { flags: ['--import=./first.js'] } },
    { process: { flags: ['--import-map=./map.json'] } },
  ],
  ['CA-711', 'the process', { process: { umask: 0 } }, { process: { umask: 0o022 } }],
  [
    'CA-712',
    'the process',
    { process: { coreBytesMax: Number.POSITIVE_INFINITY } },
    { process: { coreBytesMax: undefined } },
  ],
  [
    'CA-713',
    'env:NODE_ENV',
    { process: { variables: new Map([['NODE_ENV', 'development']]) } },
    { process: { variables: new Map([['NODE_ENV', 'production']]) } },
  ],
  [
    'CA-714',
    '--max-http-header-size',
    { process: { flags: ['--max-http-header-size=65537'] } },
    { process: { flags: ['--max-http-header-size=65536'] } },
  ],

  ['CA-801', 'the catalog', { catalogProblem: 'does not load' }, {}],
  ['CA-802', 'tool add', { tools: [{ name: 'add', scopeNamed: false }] }, { tools: [{ name: 'add' }] }],
  [
    'CA-803',
    'add',
    { tools: [{ name: 'add', scope: 'files:write' }], config: { roles: { operator: ['read'] } } },
    { tools: [{ name: 'add', scope: 'files:write' }], config: { roles: { operator: admin } } },
  ],
  [
    'CA-804',
    'tool drop',
    { tools: [{ name: 'drop', scope: 'read', annotations: { destructiveHint: true } }] },
    { tools: [{ name: 'drop', scope: 'write', annotations: { destructiveHint: true } }] },
  ],
  [
    'CA-805',
    'tool add',
    { tools: [{ name: 'add', inputSchema: { type: 'object' } }] },
    { tools: [{ name: 'add', inputSchema: { type: 'object', additionalProperties: false } }] },
  ],
  [
    'CA-806',
    'add',
    { tools: [{ name: 'add', description: 'Adds.\u{e0049}\u{e0067}' }] },
    { tools: [{ name: 'add', description: 'Adds, for a family 👩‍👧 – é, 数.' }] },
  ],
  [
    'CA-806',
    'note',
    { others: [{ name: 'note', description: 'Notes\u202e.', scope: 'read' }] },
    { others: [{ name: 'note', description: 'Notes.', scope: 'read' }] },
  ],
  [
    'CA-807',
    'tool login',
    { tools: [{ name: 'login', inputSchema: { properties: { db_password: {} }, additionalProperties: false } }] },
    { tools: [{ name: 'login', inputSchema: { properties: { tokensMax: {} }, additionalProperties: false } }] },
  ],
  [
    'CA-808',
    'readFile, read_file',
    { tools: [{ name: 'readFile' }, { name: 'read_file' }] },
    { tools: [{ name: 'readFile' }, { name: 'readFiles' }] },
  ],
  [
    'CA-809',
    'tool add',
    { tools: [{ name: 'add', description: 'a'.repeat(2_001) }] },
    { tools: [{ name: 'add', description: 'a'.repeat(2_000) }] },
  ],

  ['CA-901', 'package.json', { packages: { lockfile: undefined } }, { packages: {} }],
  ['CA-902', '.npmrc', { packages: { ignoresScripts: false } }, { packages: { ignoresScripts: true } }],
  ...['*', 'latest', '', 'github:someone/left-pad', 'someone/left-pad', 'git+ssh://git@host.example/a.git'].map(
    (spec): Row => [
      'CA-903',
      'package.json',
      { packages: { asked: [{ name: 'left-pad', spec }] } },
      { packages: { asked: [{ name: 'left-pad', spec: '1.3.0' }] } },
    ],
  ),
  [
    'CA-904',
    'package-lock.json',
    locked('left-pad', '1.3.0', { integrity: false }),
    locked('left-pad', '1.3.0', { integrity: false, resolved: 'file:../left-pad' }),
  ],
  [
    'CA-905',
    'package-lock.json',
    locked('left-pad', '1.3.0', { resolved: 'http://registry.example/left-pad.tgz' }),
    locked('left-pad', '1.3.0'),
  ],
  ['CA-906', 'package-lock.json', locked('ws', '8.21.0'), locked('ws', '8.21.1')],
  ['CA-906', 'package-lock.json', locked('@modelcontextprotocol/sdk', '1.25.9'), locked('fastify', '6.0.0')],
  [
    'CA-907',
    'Dockerfile',
    image('FROM node:24 AS build', 'USER node', 'FROM node:24'),
    image('FROM node:24', 'USER node'),
  ],
  ['CA-907', 'Dockerfile', image('FROM node:24', 'USER node', 'USER root'), { packages: {} }],
  [
    'CA-908',
    '.dockerignore',
    { packages: { dockerfile: ['FROM scratch'], dockerIgnored: ['node_modules', '.merlon'] } },
    image('FROM scratch'),
  ],
  [
    'CA-908',
    '.dockerignore',
    { packages: { dockerfile: ['FROM scratch'], dockerIgnored: ['*', '!.env', '!src'] } },
    { packages: { dockerfile: ['FROM scratch'], dockerIgnored: ['*', '!src'] } },
  ],
  [
    'CA-909',
    'Dockerfile',
    image('ARG NODE=node:24', 'FROM $NODE AS build', 'FROM build'),
    image(`ARG NODE=node:24@sha256:${'a'.repeat(64)}`, 'FROM $NODE AS build', 'FROM build'),
  ],
  ['CA-910', 'Dockerfile', image('FROM scratch', 'ARG NPM_TOKEN'), image('FROM scratch', 'ENV NODE_ENV=production')],
]

const found = (id: string, given: FactsGiven) =>
  audit(rules, factsOf(given))
    .filter(({ rule }) => rule.id === id)
    .map(({ where }) => where)

describe('SC-02: each rule finds what it is about, and nothing beside it', () => {
  test.each(table)('%s at %s', (id, where, bad, good) => {
    expect(found(id, bad)).toEqual([where])
    expect(found(id, good)).toEqual([])
  })

  test('every rule is in the table', () => {
    const tried = new Set(table.map(([id]) => id))
    expect(rules.map(({ id }) => id).filter((id) => !tried.has(id))).toEqual([])
  })
})

describe('the table of rules', () => {
  test('there are forty at the least, each with a number of its own, in order', () => {
    const ids = rules.map(({ id }) => id)
    expect(ids.length).toBeGreaterThanOrEqual(40)
    expect(new Set(ids).size).toBe(ids.length)
    for (const [, group] of ruleGroups) expect(group.map(({ id }) => id)).toEqual(group.map(({ id }) => id).sort())
  })

  test('every rule says in sentences what it holds, why, and what to do', () => {
    for (const { id, title, why, fix } of rules) {
      expect(id).toMatch(/^CA-[0-9]{3}$/)
      for (const sentence of [title, why, fix]) expect(sentence, id).toMatch(/^[\p{Lu}`-].*(?:\.|…)$/u)
    }
  })

  test('what is cited is known, and nothing is listed that nobody cites', async () => {
    const { probes } = await import('../live/probes.ts')
    const cited = new Set([...rules, ...probes].flatMap(({ source }) => source))
    expect(Object.keys(sources).filter((name) => !cited.has(name as never))).toEqual([])
  })

  test('what the loader names is a rule of ours', () => {
    const ids = new Set(rules.map(({ id }) => id))
    expect(loaderRules.map(({ id }) => id).filter((id) => !ids.has(id))).toEqual([])
  })

  test('a sound project that has just been made has no grave finding', () => {
    // It has nowhere else to send heads and notices; both are said, and neither is grave.
    expect(audit(rules, factsOf({})).map(({ rule }) => `${rule.severity} ${rule.id}`)).toEqual([
      'medium CA-508',
      'low CA-509',
    ])
  })

  test('the gravest comes first', () => {
    const findings = audit(rules, factsOf({ config: { server: { host: '0.0.0.0' }, log: { level: 'silent' } } }))
    const order = findings.map(({ rule }) => severities.indexOf(rule.severity))
    expect(order).toEqual([...order].sort((a, b) => a - b))
    expect(findings[0]?.rule.id).toBe('CA-101')
  })

  test('no finding quotes a secret', () => {
    const secret = 'mrl_0123456789ab_abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVW'
    const findings = audit(
      rules,
      factsOf({
        text: `{ "name": "${secret}" }`,
        env: { ENCRYPTION_KEY: 'my-secret-words', API_KEY_SECRET: 'hunter2' },
      }),
    )
    expect(findings.map(({ rule }) => rule.id).slice(0, 3)).toEqual(['CA-002', 'CA-003', 'CA-003'])
    expect(JSON.stringify(findings)).not.toMatch(/mrl_|my-secret-words|hunter2/)
  })
})
