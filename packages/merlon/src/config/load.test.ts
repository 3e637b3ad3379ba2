import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { dynemcpKeys } from './dynemcp.ts'
import type { ConfigFiles, FoundFile } from './files.ts'
import { type LoadedConfig, loadConfig } from './load.ts'
import { ConfigError } from './problem.ts'
import { settings } from './settings.ts'

const rootKey = '8f1d3a5b7c90e2467db8a1f3c5e70912b4d6f8136a8ce02597bf4d1e6083a5c7'
const pepper = 'jx06W3yQ4mJmC1vFzq8y5sV0d2u7XkTn9rBpLwHgEoA'
const canary = 'canary-3f9a'

function given(
  files: Readonly<Record<string, string | FoundFile>>,
  env: Readonly<Record<string, string>> = {},
): { project: string; env: Readonly<Record<string, string>>; files: ConfigFiles } {
  return {
    project: '/project',
    env,
    files: {
      read(path) {
        const found = files[path.replace('/project/', '')]
        return typeof found === 'string' ? { text: found, mode: 0o600 } : found
      },
    },
  }
}

const own = (value: unknown): Record<string, string> => ({ 'merlon.config.json': JSON.stringify(value, null, 2) })

function refusal(input: Parameters<typeof loadConfig>[0]): string[] {
  try {
    loadConfig(input)
  } catch (thrown) {
    if (thrown instanceof ConfigError)
      return thrown.message
        .split('\n')
        .slice(1)
        .map((line) => line.trim())
    throw thrown
  }
  return []
}

function origin({ origins }: LoadedConfig, path: string): string | undefined {
  return origins.get(path)
}

describe('where a setting comes from', () => {
  test('a project without a file has the defaults', () => {
    const loaded = loadConfig(given({}))
    expect(loaded.config.server.port).toBe(4000)
    expect(origin(loaded, 'server.port')).toBe('default')
    expect(loaded.warnings).toEqual([])
  })

  test('the file is over the default, .env over the file, the environment over .env', () => {
    const files = {
      ...own({ server: { port: 1, endpoint: '/a' }, name: 'filed' }),
      '.env': 'MERLON_SERVER_PORT=2\nMERLON_NAME=env',
    }
    const loaded = loadConfig(given(files, { MERLON_SERVER_PORT: '3' }))
    expect(loaded.config.server.port).toBe(3)
    expect(origin(loaded, 'server.port')).toBe('env:MERLON_SERVER_PORT')
    expect(loaded.config.name).toBe('env')
    expect(origin(loaded, 'name')).toBe('.env:MERLON_NAME')
    expect(origin(loaded, 'server.endpoint')).toBe('merlon.config.json')
    expect(origin(loaded, 'server.host')).toBe('default')
  })

  test('PORT and HOST are honoured, and yield to the name with the prefix', () => {
    const loaded = loadConfig(given(own({ server: { port: 1 } }), { PORT: '2', HOST: '::1' }))
    expect([loaded.config.server.port, loaded.config.server.host]).toEqual([2, '::1'])
    expect(loadConfig(given({}, { PORT: '2', MERLON_SERVER_PORT: '3' })).config.server.port).toBe(3)
  })

  test('a list in the environment is separated by commas, and an empty one denies', () => {
    const env = { MERLON_CORS_ALLOWED_ORIGINS: 'https://a.example, https://b.example', MERLON_SERVER_ALLOWED_HOSTS: '' }
    const { config, warnings } = loadConfig(given({}, env))
    expect(config.cors.allowedOrigins).toEqual(['https://a.example', 'https://b.example'])
    expect(config.server.allowedHosts).toEqual([])
    expect(warnings).toEqual([
      'env:MERLON_SERVER_ALLOWED_HOSTS: server.allowedHosts: is empty, so every request is refused. Leave it out for its default (CA-110)',
    ])
  })

  test('the configuration is frozen to its depth', () => {
    const { config } = loadConfig(given({}))
    expect(Object.isFrozen(config) && Object.isFrozen(config.server) && Object.isFrozen(config.roles['user'])).toBe(
      true,
    )
  })
})

describe('what is refused', () => {
  test('every problem is said at once, each at its line', () => {
    const text = `{
  "server": {
    "port": "4000",
    "endpont": "/mcp"
  },
  "roles": { "operator": ["admin"], "user": ["Read"] },
  "limits": { "pageSize": 0 },
  "authentication": { "keyLifetimeDays": 400 }
}`
    expect(
      refusal(given({ 'merlon.config.json': text }, { MERLON_LOG_LEVEL: 'loud', MERLON_SERVER_PROT: '1' })),
    ).toEqual([
      'env:MERLON_SERVER_PROT: there is no such setting. Did you mean MERLON_SERVER_PORT?',
      'merlon.config.json:3: server.port: takes a whole number, 0 to 65535',
      'merlon.config.json:4: server.endpont: there is no such setting. Did you mean server.endpoint?',
      'merlon.config.json:6: roles.user.0: takes a scope such as read or files:write',
      'merlon.config.json:7: limits.pageSize: takes a whole number, 1 to 1000',
      'env:MERLON_LOG_LEVEL: log.level: takes one of trace, debug, info, warn, error, silent',
      'merlon.config.json:8: authentication.keyLifetimeDays: is longer than authentication.keyLifetimeDaysMax. Lower it, or raise the other (CA-303)',
    ])
  })

  test('the credential that the command line shows elsewhere is no setting', () => {
    expect(loadConfig(given(own({}), { MERLON_CONTROL_KEY: 'mrl_x', MERLON_TOKEN: 'ey' })).warnings).toEqual([])
  })

  test('a setting in the wrong section is shown its place', () => {
    expect(refusal(given(own({ server: { allowedOrigins: [] } })))).toEqual([
      'merlon.config.json:3: server.allowedOrigins: there is no such setting. Did you mean cors.allowedOrigins?',
    ])
  })

  test('both files together', () => {
    expect(refusal(given({ ...own({}), 'dynemcp.config.json': '{}' }))).toEqual([
      'dynemcp.config.json: it stands beside merlon.config.json, and only one may be in force. Remove one of the two',
    ])
  })

  test.each([
    ['*', 'cors.allowedOrigins.0: takes an origin such as'],
    ['null', 'cors.allowedOrigins.0: takes an origin such as'],
    ['https://*.example', 'cors.allowedOrigins.0: takes an origin such as'],
  ])('the origin %s', (origin, says) => {
    expect(refusal(given(own({ cors: { allowedOrigins: [origin] } })))[0]).toContain(says)
  })

  test.each([
    ['0.0.0.0/0', false],
    ['::/0', false],
    ['10.0.0.0/33', false],
    ['300.0.0.0/8', false],
    ['10.0.0.0/8', true],
    ['fd00::/8', true],
  ])('the trusted range %s: %j', (range, taken) => {
    const config = own({ server: { host: '0.0.0.0', trustedProxies: [range] } })
    expect(refusal(given(config)).length === 0).toBe(taken)
  })

  test.each(['/mcp/', '//mcp', '/a/../b', '/./mcp', '/.', 'mcp', '/mcp?x', '/m%63p'])('the path %s', (endpoint) => {
    expect(refusal(given(own({ server: { endpoint } })))[0]).toContain('takes a plain path')
  })

  test('a file that every user can change', () => {
    expect(refusal(given({ 'merlon.config.json': { text: '{}', mode: 0o646 } }))).toEqual([
      'merlon.config.json: every user can change it. Run chmod o-w merlon.config.json (CA-601)',
    ])
  })

  test('a list where an object is due', () => {
    expect(refusal(given({ 'merlon.config.json': '[]' }))).toEqual(['merlon.config.json:1: it is not a JSON object'])
    expect(refusal(given(own({ server: 5 }), { MERLON_SERVER_PORT: '1' }))).toEqual([
      'merlon.config.json:2: server: takes an object',
    ])
  })
})

describe('secrets', () => {
  test('the plain names are references, and their texts are nowhere to be printed', () => {
    const loaded = loadConfig(
      given({
        '.env': `ENCRYPTION_KEY=${rootKey}\nAPI_KEY_SECRET=${pepper}\nDATABASE_URL=postgres://m:x9Lq@db.example/m`,
      }),
    )
    expect(loaded.config.secrets).toEqual({ rootKey: 'env:ENCRYPTION_KEY', apiKeyPepper: 'env:API_KEY_SECRET' })
    expect(loaded.config.store.databaseUrl).toBe('env:DATABASE_URL')
    expect(origin(loaded, 'secrets.rootKey')).toBe('.env:ENCRYPTION_KEY')
    expect(loaded.secrets.rootKey?.export().toString('hex')).toBe(rootKey)
    expect(loaded.secrets.apiKeyPepper?.symmetricKeySize).toBe(32)
    expect(loaded.secrets.databaseUrl).toBe('postgres://m:x9Lq@db.example/m')
    expect(loaded.secrets.names).toEqual(['ENCRYPTION_KEY', 'API_KEY_SECRET', 'DATABASE_URL'])
    expect(JSON.stringify(loaded.secrets)).toBe(
      '{"secrets.rootKey":"env:ENCRYPTION_KEY","secrets.apiKeyPepper":"env:API_KEY_SECRET","store.databaseUrl":"env:DATABASE_URL"}',
    )
  })

  test('RS-12: the secret by which an issuer knows us is one, and is nowhere to be printed', () => {
    const issuer = (more: object = {}) => ({ issuer: 'https://id.example', tenant: { value: 'default' }, ...more })
    const introspection = (more: object = {}) => ({
      introspection: {
        ...{ url: 'https://id.example/introspect', clientId: 'merlon', clientSecret: 'env:MERLON_AT_ISSUER' },
        ...more,
      },
    })
    const listed = (...issuers: object[]) => own({ identity: { issuers } })
    const two = listed(issuer({ issuer: 'https://other.example' }), issuer(introspection()))
    const env = { MERLON_AT_ISSUER: `${canary}-of-the-issuer` }
    const loaded = loadConfig(given(two, env))
    expect(loaded.secrets.introspectionSecret).toBe(env.MERLON_AT_ISSUER)
    expect(loaded.secrets.names).toEqual(['MERLON_AT_ISSUER'])
    expect(JSON.stringify([loaded.config, loaded.secrets, loaded.warnings])).not.toContain(canary)
    expect(loadConfig(given({})).secrets.introspectionSecret).toBeUndefined()

    const at = 'merlon.config.json:3: identity.issuers'
    const secret = `${at}.0.introspection.clientSecret`
    const one = listed(issuer(introspection()))
    expect(refusal(given(one))).toEqual([
      `${secret}: env:MERLON_AT_ISSUER is not set. Set it in .env or in the environment, or leave the setting out (CA-004)`,
    ])
    for (const [text, says] of [
      ['short', 'is not 8 to 512 printable characters'],
      ['change-me-please', 'is a placeholder'],
    ] as const)
      expect(refusal(given(one, { MERLON_AT_ISSUER: text }))).toEqual([
        `${secret}: env:MERLON_AT_ISSUER ${says}. Give the secret that the issuer shows for this client (CA-003)`,
      ])
    const plain = refusal(given(listed(issuer(introspection({ clientSecret: canary })))))
    expect(plain.join('\n')).toContain('(CA-002)')
    expect(plain.join('\n')).not.toContain(canary)
    for (const url of [
      'http://id.example/introspect',
      'https://ann:x@id.example/',
      'https://id.example/?a=b',
      'file:///x',
    ])
      expect(refusal(given(listed(issuer(introspection({ url }))), env)), url).not.toEqual([])
    const other = issuer({ issuer: 'https://other.example', ...introspection() })
    expect(refusal(given(listed(issuer(introspection()), other), env)).join('\n')).toContain(
      'identity.issuers: takes a list in which one issuer at most has introspection',
    )
  })

  test('the address of a Redis is one, and its password is nowhere to be printed', () => {
    const loaded = loadConfig(given({}, { REDIS_URL: 'rediss://:canary@redis.example' }))
    expect(loaded.config.store.redisUrl).toBe('env:REDIS_URL')
    expect(loaded.secrets.redisUrl).toBe('rediss://:canary@redis.example')
    expect(JSON.stringify([loaded.config, loaded.secrets, loaded.warnings])).not.toContain('canary')
    expect(refusal(given({}, { REDIS_URL: 'redis://:canary@redis.example/x' }))).toEqual([
      expect.stringContaining('env:REDIS_URL names a database that is not a number'),
    ])
  })

  test('a file of its own is followed, and a variable of any name', () => {
    const files = {
      ...own({ secrets: { rootKey: 'file:root.hex', apiKeyPepper: 'env:MERLON_PEPPER' } }),
      'root.hex': `${rootKey}\n`,
    }
    const { secrets } = loadConfig(given(files, { MERLON_PEPPER: pepper }))
    expect(secrets.rootKey?.export().toString('hex')).toBe(rootKey)
    expect(secrets.apiKeyPepper?.export().toString('base64url')).toBe(pepper)
  })

  test.each([
    ['inline in its own setting', own({ secrets: { rootKey: canary } }), {}],
    ['inline as a database address', own({ store: { databaseUrl: `postgres://m:${canary}@db.example/m` } }), {}],
    ['inline in another setting', own({ instructions: `postgres://m:${canary}@db.example/m` }), {}],
    ['under a key that does not exist', own({ apiKey: canary }), {}],
    ['as a placeholder', { '.env': `ENCRYPTION_KEY=your-${canary}` }, {}],
    ['too short', {}, { ENCRYPTION_KEY: canary }],
    ['an address of another database', {}, { DATABASE_URL: `mysql://m:${canary}@db.example/m` }],
    ['in the place of a number', {}, { MERLON_SERVER_PORT: canary }],
    ['in the place of a word', own({ log: { level: canary } }), {}],
    ['on a broken line', { '.env': `"${canary}` }, {}],
    ['in broken JSON', { 'merlon.config.json': `{"secrets": {"rootKey": "${canary}` }, {}],
  ])('%s is refused, and the refusal does not quote it', (_, files, env) => {
    const said = refusal(given(files as Record<string, string>, env as Record<string, string>))
    expect(said).not.toEqual([])
    expect(said.join('\n')).not.toContain(canary)
  })

  test.each([
    [{ secrets: { rootKey: 'env:NOWHERE' } }, 'merlon.config.json:3: secrets.rootKey: env:NOWHERE is not set.'],
    [{ secrets: { rootKey: 'file:gone' } }, 'merlon.config.json:3: secrets.rootKey: file:gone does not exist.'],
    [
      { secrets: { rootKey: 'file:open.hex' } },
      'merlon.config.json:3: secrets.rootKey: file:open.hex can be read or changed by other users.',
    ],
  ])('%j leads nowhere', (value, says) => {
    expect(refusal(given({ ...own(value), 'open.hex': { text: rootKey, mode: 0o640 } }))[0]).toContain(says)
  })

  test('SC-01: a name that ends in _FILE gives the path of the file with the secret', () => {
    const files = { 'run/root.hex': `${rootKey}\n`, 'run/database': 'postgres://merlon:x9Lq@db.example/merlon' }
    const names = { ENCRYPTION_KEY_FILE: 'run/root.hex', DATABASE_URL_FILE: '/project/run/database' }
    const loaded = loadConfig(given(files, names))
    expect(loaded.secrets.rootKey?.export().toString('hex')).toBe(rootKey)
    expect(loaded.secrets.databaseUrl).toBe('postgres://merlon:x9Lq@db.example/merlon')
    expect(loaded.config.secrets.rootKey).toBe('file:run/root.hex')
    expect(origin(loaded, 'secrets.rootKey')).toBe('env:ENCRYPTION_KEY_FILE')
    // Nothing to forget: the environment never held it.
    expect(loaded.secrets.names).toEqual([])
    expect(loadConfig(given({ ...files, '.env': 'API_KEY_SECRET_FILE=run/root.hex' })).warnings).toEqual([])
  })

  test('a secret that is given twice, a path that is empty, and one that leads nowhere', () => {
    const refusedWith = (env: Record<string, string>) => refusal(given({ 'root.hex': rootKey }, env))
    expect(refusedWith({ ENCRYPTION_KEY: rootKey, ENCRYPTION_KEY_FILE: 'root.hex' })).toEqual([
      'env:ENCRYPTION_KEY_FILE: secrets.rootKey: is given by ENCRYPTION_KEY too, and which of the two is meant cannot be known. Unset one of them',
    ])
    expect(refusedWith({ REDIS_URL_FILE: '' })).toEqual([
      'env:REDIS_URL_FILE: store.redisUrl: takes the path of a file. Unset it, or name the file',
    ])
    expect(refusedWith({ ENCRYPTION_KEY_FILE: 'gone.hex' })).toEqual([
      'env:ENCRYPTION_KEY_FILE: secrets.rootKey: file:gone.hex does not exist. Check the path (CA-004)',
    ])
  })

  test('what a volume of Kubernetes lets one group read is taken, and what everybody may read is not', () => {
    const mounted = (mode: number) =>
      given({ 'root.hex': { text: rootKey, mode, owner: 0 } }, { ENCRYPTION_KEY_FILE: 'root.hex' })
    expect(refusal(mounted(0o444))[0]).toContain('can be read or changed by other users')
    // To root itself it is a file of its own, which it can mend.
    expect(refusal(mounted(0o440)).length).toBe(process.getuid?.() === 0 ? 1 : 0)
  })

  test.each(['hex', 'base64', 'base64url'] as const)(
    'one secret for two purposes, the second time in %s',
    (encoding) => {
      const again = Buffer.from(rootKey, 'hex').toString(encoding)
      expect(refusal(given({}, { ENCRYPTION_KEY: rootKey, API_KEY_SECRET: again }))[0]).toContain(
        'is the root key too; one secret serves one purpose',
      )
    },
  )

  test('an .env with secrets that others can read; one without is taken', () => {
    expect(refusal(given({ '.env': { text: `ENCRYPTION_KEY=${rootKey}`, mode: 0o644 } }))).toEqual([
      '.env: it holds secrets and other users can read it. Run chmod 600 .env (CA-602)',
    ])
    expect(refusal(given({ '.env': { text: 'PORT=4001', mode: 0o644 } }))).toEqual([])
  })

  test('a sample JWT_SECRET is refused although nothing uses it', () => {
    expect(refusal(given({ '.env': 'JWT_SECRET=your-jwt-secret-key' }))).toEqual([
      '.env:JWT_SECRET: is a placeholder or a published sample. Remove it (CA-003)',
    ])
  })

  test('a name of a part that is not there, and one that is nearly right, earn a warning', () => {
    const { warnings } = loadConfig(
      given({ '.env': 'JWT_SECRET=iJ5pVq0zR7wYc2tNf8xLk3hBg6mDs1aEu9oPvTjQyXw\nENCRYPTON_KEY=x' }),
    )
    expect(warnings).toEqual([
      '.env:JWT_SECRET: JWT_SECRET is not used: tokens are signed with a key pair that the server makes and keeps; no secret signs them',
      '.env:ENCRYPTON_KEY: ENCRYPTON_KEY is not used; did you mean ENCRYPTION_KEY?',
    ])
  })
})

describe('whatever a file holds in the place of one of its values, it gives a configuration or a ConfigError', () => {
  const own = settings.flatMap(({ segments }) => segments.map((_, index) => segments.slice(0, index + 1)))
  const foreign = [...dynemcpKeys]
    .map((key) => key.split('.'))
    .flatMap((key) => key.map((_, index) => key.slice(0, index + 1)))
  const odd = fc.constantFrom(
    '',
    '*',
    'env:',
    'env:X',
    'file:x',
    '2mb',
    'a, b',
    'admin',
    ['*'],
    {},
    [],
    '0.0.0.0',
    '::',
  )

  test.each([
    ['merlon.config.json', own],
    ['dynemcp.config.json', foreign],
  ])('%s', (file, paths) => {
    const change = fc.tuple(fc.constantFrom(...paths), fc.oneof(odd, fc.jsonValue({ maxDepth: 3 })))
    fc.assert(
      fc.property(fc.array(change, { maxLength: 4 }), (changes) => {
        const document: Record<string, unknown> = {}
        for (const [path, value] of changes) place(document, path, structuredClone(value))
        try {
          expect(loadConfig(given({ [file]: JSON.stringify(document) })).config.server.endpoint).toMatch(/^\//)
        } catch (thrown) {
          if (!(thrown instanceof ConfigError)) throw thrown
          expect(thrown.problems.length).toBeGreaterThan(0)
        }
      }),
      { numRuns: 400 },
    )
  })
})

function place(document: Record<string, unknown>, path: readonly string[], value: unknown): void {
  let node = document
  for (const key of path.slice(0, -1)) {
    const inner = node[key]
    const section = typeof inner === 'object' && inner !== null ? (inner as Record<string, unknown>) : {}
    node[key] = section
    node = section
  }
  node[path.at(-1)!] = value
}

test('SC-03: a value refused within a list is told beside all else that is wrong', () => {
  const rules = [{ name: 'reports', per: ['principal'], callsMax: 0 }]
  expect(refusal(given(own({ rateLimit: { rules }, server: { host: '0.0.0.0' } }))).length).toBe(2)
})
