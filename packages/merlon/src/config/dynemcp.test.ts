import { describe, expect, test } from 'vitest'
import { mapDynemcp } from './dynemcp.ts'

const options = (value: Record<string, unknown>) => ({ transport: { type: 'streamable-http', options: value } })
const says = (document: Record<string, unknown>) => {
  const { warnings, problems } = mapDynemcp(document)
  return {
    warnings: warnings.map(({ path, says }) => `${path.join('.')}: ${says}`),
    problems: problems.map(({ path, says }) => `${path.join('.')}: ${says}`),
  }
}
const quiet = { warnings: [], problems: [] }

describe('origins', () => {
  const cors = (allowOrigin: unknown, more: Record<string, unknown> = {}) => options({ cors: { allowOrigin, ...more } })

  test.each([
    [['https://a.example'], ['https://a.example']],
    ['https://a.example, https://b.example', ['https://a.example', 'https://b.example']],
    [false, []],
    [[], []],
  ])('%j allows %j', (given, allowed) => {
    expect(mapDynemcp(cors(given)).input.cors).toEqual({ allowedOrigins: allowed })
    expect(says(cors(given))).toEqual(quiet)
  })

  test('no CORS at all allows no origin', () => {
    expect(mapDynemcp(options({ cors: false })).input.cors).toEqual({ allowedOrigins: [] })
  })

  test('every origin with credentials is refused, and without them too', () => {
    expect(says(cors('*', { credentials: true })).problems).toEqual([
      'transport.options.cors.allowOrigin: is every origin, with credentials',
    ])
    expect(says(cors(['*'])).problems).toEqual(['transport.options.cors.allowOrigin: is every origin'])
    expect(says({ security: { allowedOrigins: '*' } }).problems).toEqual(['security.allowedOrigins: is every origin'])
  })

  test('of two lists only what both name may call', () => {
    const document = {
      ...cors(['https://a.example', 'https://b.example']),
      security: { allowedOrigins: ['https://b.example', 'https://c.example'] },
    }
    expect(mapDynemcp(document).input.cors).toEqual({ allowedOrigins: ['https://b.example'] })
    expect(says(document).warnings).toEqual([
      'security.allowedOrigins: differs from transport.options.cors.allowOrigin; only the origins that both name may call (1)',
    ])
  })

  test('either list alone is in force', () => {
    expect(mapDynemcp({ security: { allowedOrigins: ['https://c.example'] } }).input.cors).toEqual({
      allowedOrigins: ['https://c.example'],
    })
  })
})

describe('two rate limits', () => {
  const limits = (inner: Record<string, unknown> | undefined, outer: Record<string, unknown> | undefined) => ({
    ...(inner === undefined ? {} : options({ security: { rateLimiting: inner } })),
    ...(outer === undefined ? {} : { security: { rateLimit: outer } }),
  })
  const fast = { enabled: true, maxRequests: 100, windowMs: 60_000 }
  const slow = { enabled: true, maxRequests: 100, windowMs: 900_000 }

  test.each([
    [limits(fast, slow), { enabled: true, callsMax: 100, windowMs: 900_000 }, 1],
    [limits(slow, fast), { enabled: true, callsMax: 100, windowMs: 900_000 }, 1],
    [limits(fast, fast), { enabled: true, callsMax: 100, windowMs: 60_000 }, 0],
    [limits(fast, undefined), { enabled: true, callsMax: 100, windowMs: 60_000 }, 0],
    [limits(undefined, slow), { enabled: true, callsMax: 100, windowMs: 900_000 }, 0],
    [limits(fast, { ...slow, enabled: false }), { enabled: true, callsMax: 100, windowMs: 60_000 }, 1],
    [limits({ ...fast, maxRequests: 10, windowMs: 6_000 }, fast), { enabled: true, callsMax: 10, windowMs: 6_000 }, 1],
    [limits({ ...fast, enabled: false }, { ...slow, enabled: false }), { enabled: false }, 0],
  ])('%j gives %j', (document, rateLimit, warnings) => {
    expect(mapDynemcp(document).input.rateLimit).toEqual(rateLimit)
    expect(says(document).warnings).toHaveLength(warnings)
  })
})

describe('sizes', () => {
  test.each([
    ['2mb', 2_097_152],
    ['512kb', 524_288],
    ['1.5 MB', 1_572_864],
    ['2048', 2_048],
    [4_096, 4_096],
  ])('%j is %d bytes', (given, bytes) => {
    expect(mapDynemcp(options({ maxMessageSize: given })).input.limits).toEqual({ messageBytesMax: bytes })
  })

  test.each(['2 megabytes', '-1mb', '', 'mb', true, null])('%j is no size', (given) => {
    expect(says(options({ maxMessageSize: given })).problems).toEqual([
      'transport.options.maxMessageSize: takes a size such as 2mb or 512kb',
    ])
  })
})

describe('what cannot be relaxed is said, and stays', () => {
  test.each([
    [options({ session: { cleanup: { enabled: false } } }), 'ended sessions are always cleared away'],
    [options({ authentication: { required: false } }), 'a credential is always required'],
    [options({ security: { dnsRebindingProtection: false } }), 'the Host and Origin checks stay on'],
    [options({ security: { hostnameValidation: false } }), 'the Host check stays on'],
    [options({ compression: { enabled: true } }), 'the answer to a credential is not compressed'],
    [options({ cors: { credentials: true } }), 'browsers are not told to send cookies'],
    [options({ cors: { maxAge: 86_400 } }), 'is lowered to 7200 seconds'],
    [options({ cors: { allowMethods: 'GET, PUT' } }), 'names methods that are not served; in force: GET'],
    [{ security: { enableValidation: false } }, 'arguments are always checked'],
    [{ security: { strictMode: false } }, 'unknown fields are always refused'],
    [{ security: { encryption: { enabled: false } } }, 'sealing cannot be switched off'],
  ])('%j', (document, warning) => {
    expect(says(document).problems).toEqual([])
    expect(says(document).warnings).toEqual([expect.stringContaining(warning)])
  })
})

test('X-RateLimit headers that a page may read are sent', () => {
  expect(mapDynemcp(options({ cors: { exposeHeaders: 'X-RateLimit-Remaining, X-Other' } })).input).toEqual({
    cors: { exposedHeaders: ['X-RateLimit-Remaining', 'X-Other'] },
    rateLimit: { headers: ['standard', 'x'] },
  })
  expect(mapDynemcp(options({ cors: { exposeHeaders: 'X-Other' } })).input.rateLimit).toBeUndefined()
})

describe('calls that end well are left out where nothing else counts them', () => {
  const skips = { maxRequests: 100, windowMs: 60_000, skipOnSuccess: true }
  const limit = { maxRequests: 500, windowMs: 60_000 }

  test('by the one limit there is', () => {
    const { input, warnings } = mapDynemcp(options({ security: { rateLimiting: skips } }))
    expect(input.rateLimit).toEqual({ enabled: true, count: 'failures', callsMax: 100, windowMs: 60_000 })
    expect(warnings).toEqual([])
  })

  test('not where another limit counts every call, whichever is the stricter', () => {
    for (const rateLimit of [limit, { ...limit, maxRequests: 10 }]) {
      const { input, warnings } = mapDynemcp({
        ...options({ security: { rateLimiting: skips } }),
        security: { rateLimit },
      })
      expect(input.rateLimit).not.toHaveProperty('count')
      expect(warnings.map(({ says }) => says)).toContain(
        'has no effect: the other limit counts every call, the successful too',
      )
    }
  })

  test('and where the other is off', () => {
    const document = {
      ...options({ security: { rateLimiting: skips } }),
      security: { rateLimit: { ...limit, enabled: false } },
    }
    expect(mapDynemcp(document).input.rateLimit).toMatchObject({ count: 'failures', callsMax: 100 })
  })
})

test('a scope that is not listed is taken from every role, and an own one is declared', () => {
  const document = options({ authentication: { scopes: ['read', 'files:write'] } })
  expect(mapDynemcp(document).input).toEqual({
    scopes: ['files:write'],
    roles: { user: ['read'], admin: ['read', 'files:write'], operator: ['read', 'files:write'] },
  })
})

test.each([
  [{ transport: { type: 'stdio' } }, 'transport.type: takes streamable-http: this release serves Streamable HTTP'],
  [options({ porrt: 1 }), 'transport.options.porrt: there is no such key'],
  [{ server: {} }, 'server: there is no such key'],
  [{ transport: [] }, 'transport: takes an object'],
  [options({ cors: true }), 'transport.options.cors: takes an object'],
  [
    options({ cors: { allowOrigin: 5 } }),
    'transport.options.cors.allowOrigin: takes a list of texts, or a text with commas',
  ],
  [options({ authentication: { required: 'no' } }), 'transport.options.authentication.required: takes true or false'],
  [
    options({ compression: { threshold: 'small' } }),
    'transport.options.compression.threshold: takes a size such as 2mb or 512kb',
  ],
  [
    { security: { encryption: { algorithm: 'aes-128-cbc' } } },
    'security.encryption.algorithm: takes aes-256-gcm: nothing else is used for sealing',
  ],
  [{ security: { rateLimit: { windowMs: 0 } } }, 'security.rateLimit.windowMs: takes a whole number above 0'],
])('%j is refused', (document, problem) => {
  expect(says(document).problems).toEqual([problem])
})

test('names that every object has are no keys', () => {
  for (const name of ['toString', 'constructor', '__proto__', 'hasOwnProperty']) {
    expect(says(JSON.parse(`{"${name}": {"enabled": true}}`)).problems).toEqual([`${name}: there is no such key`])
  }
})
