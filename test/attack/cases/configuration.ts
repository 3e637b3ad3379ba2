import { expect } from 'vitest'
import { loadConfig } from '../../../packages/merlon/src/config/load.ts'
import { ConfigError, type Problem } from '../../../packages/merlon/src/config/problem.ts'
import { type AttackCase, each } from '../attack-case.ts'
import { Target } from '../harness.ts'
import { call } from '../request.ts'

const area = 'Configuration'

/** What the start says of this configuration file and environment; nothing where it would start. */
function refusal(file: unknown, env: Readonly<Record<string, string>> = {}): readonly string[] {
  return problems(file, env).map(({ path }) => path)
}

function problems(file: unknown, env: Readonly<Record<string, string>> = {}): readonly Problem[] {
  try {
    loadConfig({
      project: '/project',
      env,
      files: {
        read: (path) =>
          path === '/project/merlon.config.json' ? { text: JSON.stringify(file), mode: 0o600 } : undefined,
      },
    })
    return []
  } catch (thrown) {
    if (thrown instanceof ConfigError) return thrown.problems
    throw thrown
  }
}

/** The start stops and names this setting. */
const stops =
  (setting: string, file: unknown, env: Readonly<Record<string, string>> = {}): AttackCase['send'] =>
  async () => {
    expect(refusal(file, env)).toEqual([setting])
    return undefined
  }

const weak = [
  'changeme',
  'sk_read_abc123',
  'sk_admin_ghi789',
  'your-jwt-secret-key',
  'secret-api-key',
  'a'.repeat(64),
  '0'.repeat(64),
  'c2hvcnQ=',
]

export const configurationCases: readonly AttackCase[] = [
  ...each(
    {
      id: 'O-110',
      area,
      requirement: ['OH-05', 'OH-04'],
      title: 'a start that would open the door to every page is refused',
    },
    {
      'every origin': stops('cors.allowedOrigins.0', { cors: { allowedOrigins: ['*'] } }),
      'the null origin': stops('cors.allowedOrigins.0', { cors: { allowedOrigins: ['null'] } }),
      'a pattern': stops('cors.allowedOrigins.0', { cors: { allowedOrigins: ['https://*.example'] } }),
      'no Host check on loopback': stops('server.dangerouslySkipHostCheck', {
        server: { dangerouslySkipHostCheck: true },
      }),
      'no Origin check on loopback': stops('cors.dangerouslySkipOriginCheck', {
        cors: { dangerouslySkipOriginCheck: true },
      }),
    },
  ),
  ...each(
    { id: 'O-110', area, requirement: ['TR-01'], title: 'a start beyond loopback without TLS in front is refused' },
    {
      'every address': stops('server.host', { server: { host: '0.0.0.0' } }),
      'every IPv6 address': stops('server.host', { server: { host: '::' } }),
      'a proxy that is everybody': stops('server.trustedProxies.0', {
        server: { host: '0.0.0.0', trustedProxies: ['0.0.0.0/0'] },
      }),
    },
  ),
  {
    id: 'O-110',
    area,
    requirement: ['SC-02', 'SC-03', 'TR-01', 'OH-05'],
    title: 'a start with all of it wrong is refused, each by the number of its rule',
    send: async () => {
      const file = { server: { host: '0.0.0.0' }, cors: { allowedOrigins: ['*'] }, limit: {} }
      const found = problems(file, {
        ENCRYPTION_KEY: 'your-encryption-key',
        API_KEY_SECRET: 'MTYgYnl0ZXMgb2Yga2V5IQ==',
      })
      expect(found.map(({ rule, path }) => rule ?? path).sort()).toEqual([
        'CA-003',
        'CA-003',
        'CA-101',
        'CA-106',
        'limit',
      ])
      return undefined
    },
  },
  {
    id: 'X-140',
    area,
    requirement: ['TR-01'],
    title: 'without a setting it listens on loopback',
    send: async (target) => {
      expect(new URL(target.server.url).hostname).toBe('127.0.0.1')
      return undefined
    },
  },
  ...each(
    {
      id: 'O-041',
      area,
      requirement: ['SC-01', 'SC-02'],
      title: 'a secret that is weak, short or a placeholder stops the start',
    },
    Object.fromEntries(
      weak.flatMap((secret): [string, AttackCase['send']][] => [
        [
          `ENCRYPTION_KEY ${secret.slice(0, 20)}`,
          async () => {
            expect(problems({}, { ENCRYPTION_KEY: secret }).map(({ rule }) => rule)).toEqual(['CA-003'])
            return undefined
          },
        ],
        [
          `API_KEY_SECRET ${secret.slice(0, 20)}`,
          async () => {
            expect(problems({}, { API_KEY_SECRET: secret }).map(({ rule }) => rule)).toEqual(['CA-003'])
            return undefined
          },
        ],
      ]),
    ),
  ),
  ...each(
    { id: 'X-141', area, requirement: ['SC-01'], title: 'a secret written into the configuration stops the start' },
    {
      'root key': stops('secrets.rootKey', {
        secrets: { rootKey: '8f1d3a5b7c90e2467db8a1f3c5e70912b4d6f8136a8ce02597bf4d1e6083a5c7' },
      }),
      pepper: stops('secrets.apiKeyPepper', {
        secrets: { apiKeyPepper: 'jx06W3yQ4mJmC1vFzq8y5sV0d2u7XkTn9rBpLwHgEoA' },
      }),
      database: stops('store.databaseUrl', { store: { databaseUrl: 'postgres://merlon:hunter2@db.example/merlon' } }),
    },
  ),
  ...each(
    { id: 'X-142', area, requirement: ['SC-03'], title: 'an unknown setting or a value out of range stops the start' },
    {
      'an unknown key': stops('allowedOrigin', { allowedOrigin: ['https://app.example'] }),
      'an unknown key inside': stops('cors.allowOrigin', { cors: { allowOrigin: '*' } }),
      'another case': stops('server.Host', { server: { Host: '0.0.0.0' } }),
      __proto__: async () => {
        expect(refusal(JSON.parse('{"__proto__":{"rateLimit":{"enabled":false}}}')).length).toBeGreaterThan(0)
        return undefined
      },
      'a depth that is no bound': stops('limits.jsonDepthMax', { limits: { jsonDepthMax: 1e9 } }),
      'a body that is no bound': stops('limits.messageBytesMax', { limits: { messageBytesMax: 1e12 } }),
      'a negative limit': stops('rateLimit.callsMax', { rateLimit: { callsMax: -1 } }),
      'a time that wraps around': stops('session.durationMs', { session: { durationMs: 2 ** 31 } }),
      'preflights kept for a day': stops('cors.maxAgeSeconds', { cors: { maxAgeSeconds: 86_400 } }),
    },
  ),
  {
    id: 'X-143',
    area,
    requirement: ['SC-06', 'OH-04'],
    title: 'an empty list of hosts denies every host, and a list of one allows that one alone',
    send: async () => {
      for (const allowedHosts of [[], ['only.example']]) {
        const target = await Target.open({ server: { port: 0, allowedHosts } })
        try {
          const as = 'A.read'
          expect((await target.send(call('tools/list', {}, { as }))).code).toBe('HOST_REFUSED')
          const named = await target.send(call('tools/list', {}, { as, headers: { Host: 'only.example' } }))
          expect(named.status).toBe(allowedHosts.length === 0 ? 403 : 200)
        } finally {
          await target.close()
        }
      }
      return undefined
    },
  },
]
