import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { type Authenticator, accept, reject } from '../identity/authenticator.ts'
import { Doors } from '../identity/doors.ts'
import type { IssuerSettings } from '../identity/foreign-issuer.ts'
import { Asked, activeWith } from '../identity/introspection.fixture.ts'
import {
  issuerUrl,
  keySetOf,
  now,
  Published,
  pairOf,
  proofOf,
  resource,
  shownWith,
  thumbprintOf,
  tokenOf,
} from '../identity/token.fixture.ts'
import type { Door, Scheme } from '../identity/verdict.ts'
import { scopeSet } from '../policy/scopes.ts'
import { type CredentialParts, verifiers } from './credentials.ts'

beforeEach(() => vi.useFakeTimers())
afterEach(() => vi.useRealTimers())

const pair = pairOf('k1')
const settings: IssuerSettings = {
  issuer: issuerUrl,
  controlAudience: 'https://mcp.example:4001/api',
  algorithms: ['ES256'],
  types: ['at+jwt'],
  untyped: false,
  required: {},
  jwksUri: `${issuerUrl}/keys`,
  tenant: { value: 'a' },
  role: { value: 'user' },
  scopes: { claim: 'scope' },
  skewMs: 30_000,
  lifetimeMsMax: 86_400_000,
  dpop: 'optional',
  allowPrivateNetwork: false,
  dangerouslyAllowHttp: false,
}

function verifierWith(more: Partial<CredentialParts> = {}, door: Door = 'mcp') {
  const published = new Published()
  published.documents.set(`${issuerUrl}/keys`, keySetOf(pair))
  const doors = new Doors()
  doors.serveAt('https://mcp.example')
  doors.open('mcp', resource)
  doors.open('control', 'https://mcp.example:4001/api')
  const keysAsked: string[] = []
  const verify = verifiers({
    verify: (credential, at, address) => {
      keysAsked.push(`${credential} ${at} ${address}`)
      return { ok: false, reason: 'unknown', credential: undefined }
    },
    tokens: { asIssuer: () => undefined },
    signingKeys: { onDestroyed() {} },
    doors,
    tenants: { tenantAt: () => ({ scopes: undefined }) },
    subjects: { isBlocked: () => false },
    issuers: [settings],
    authenticator: undefined,
    roles: new Map([['user', scopeSet(['read', 'write'])]]),
    scopes: scopeSet(['read', 'write', 'admin']),
    clock: () => now,
    steadyClock: () => now,
    failures: { networkOf: (address) => address, take: () => undefined, giveBack: () => undefined },
    introspectionSecret: undefined,
    report: () => expect.unreachable(),
    fetch: published.fetch,
    ...more,
  })(door)
  const ask = (credential: string, scheme: Scheme = 'bearer', headers: Record<string, string> = {}) =>
    verify(credential, shownWith(headers), scheme)
  return { ask, keysAsked, published }
}

const module = (authenticate: Authenticator['authenticate']) => verifierWith({ authenticator: { authenticate } }).ask

test('RS-12: a subject that is blocked is refused at both doors', async () => {
  const subjects = { isBlocked: (id: string) => id === `${issuerUrl}#eve` }
  for (const [door, aud] of [
    ['mcp', resource],
    ['control', 'https://mcp.example:4001/api'],
  ] as const) {
    const { ask } = verifierWith({ subjects }, door)
    expect(await ask(tokenOf(pair, { aud }))).toMatchObject({ ok: true })
    expect(await ask(tokenOf(pair, { aud, sub: 'eve' }))).toMatchObject({ ok: false, reason: 'subject-blocked' })
  }
})

describe('the module of a project', () => {
  test('is never shown what begins like a key of ours', async () => {
    const authenticate = vi.fn()
    const { ask, keysAsked } = verifierWith({ authenticator: { authenticate } })
    expect(await ask('mrl_x')).toMatchObject({ ok: false })
    expect(authenticate).not.toHaveBeenCalled()
    expect(keysAsked).toEqual(['mrl_x mcp 192.0.2.1'])
  })

  test('is never shown a token of an issuer that is configured, good or bad', async () => {
    const authenticate = vi.fn(() => accept({ subject: 'eve', scopes: ['read'], expiresAt: now + 1 }))
    const ask = module(authenticate)
    expect(await ask(tokenOf(pair))).toMatchObject({ ok: true, principal: { id: `${issuerUrl}#ann` } })
    expect(await ask(tokenOf(pair, { aud: 'https://other.example' }))).toMatchObject({ reason: 'token-audience' })
    expect(await ask(tokenOf(pair, {}, { crit: ['exp'] }))).toMatchObject({ reason: 'token-header' })
    expect(authenticate).not.toHaveBeenCalled()
  })

  test('is shown tokens of issuers that are not', async () => {
    const seen = vi.fn(() => reject('not mine'))
    const token = tokenOf(pair, { iss: 'https://elsewhere.example' })
    expect(await module(seen)(token)).toEqual({ ok: false, reason: 'not mine', credential: undefined })
    expect(seen).toHaveBeenCalledWith(token, { address: '192.0.2.1', requestId: 'r1' })
  })

  test('accepts what then acts within its role, and what it rejects is refused', async () => {
    const good = accept({ subject: 'ann', scopes: ['read', 'admin'], expiresAt: now + 1 })
    expect(await module(() => good)('opaque')).toMatchObject({ ok: true, principal: { id: 'ann', kind: 'external' } })
    expect(await module(() => reject('expired'))('opaque')).toEqual({
      ok: false,
      reason: 'expired',
      credential: undefined,
    })
  })

  test('AU-02: what it accepts is good while its tenant stands, and for what the tenant is limited to', async () => {
    const authenticate = () => accept({ subject: 'ann', scopes: ['read', 'write'], tenant: 'acme', expiresAt: now + 1 })
    const standings = new Map([['acme', { scopes: scopeSet(['read']) }]])
    const asked: string[] = []
    const tenantAt = async (tenant: string, credential: string) => {
      asked.push(`${tenant} ${credential}`)
      return standings.get(tenant)
    }
    const { ask } = verifierWith({ authenticator: { authenticate }, tenants: { tenantAt } })
    const limited = await ask('opaque')
    expect(limited.ok && [...limited.principal.effective]).toEqual(['read'])
    standings.clear()
    expect(await ask('opaque')).toEqual({ ok: false, reason: 'tenant-inactive', credential: 'external:ann' })
    // Whoever follows the tenant is told whose streams end with it.
    expect(asked).toEqual(['acme external:ann', 'acme external:ann'])
  })

  test('AD-01: opens no door but the MCP endpoint', async () => {
    const authenticate = vi.fn(() => accept({ subject: 'ann', scopes: ['admin'], expiresAt: now + 1 }))
    const { ask } = verifierWith({ authenticator: { authenticate } }, 'control')
    expect(await ask('opaque')).toMatchObject({ ok: false })
    expect(authenticate).not.toHaveBeenCalled()
  })

  test.each([
    ['throws', () => Promise.reject(new Error('the directory is down'))],
    ['never answers', () => new Promise<never>(() => undefined)],
  ])('that %s is an outage of ours, not a bad credential', async (_what, authenticate) => {
    const refused = expect(module(authenticate)('opaque')).rejects.toMatchObject({ code: 'store.unavailable' })
    await vi.advanceTimersByTimeAsync(5_000)
    await refused
    expect(vi.getTimerCount()).toBe(0)
  })

  test.each([true, {}, { ok: true }, { subject: 'ann', scopes: ['admin'], expiresAt: now + 1 }, undefined])(
    'that answers %o denies',
    async (answer) => {
      expect(await module(() => answer as never)('opaque')).toMatchObject({ ok: false })
    },
  )
})

describe('RS-12: the issuer that is asked about opaque tokens', () => {
  const introspection = { url: `${issuerUrl}/introspect`, clientId: 'merlon' }
  const opaque = 'opaque-token-of-ann-1'

  function asking(more: Partial<CredentialParts> = {}, door: Door = 'mcp') {
    const asked = new Asked()
    asked.answers.set(opaque, activeWith())
    const authenticate = vi.fn(() => accept({ subject: 'eve', scopes: ['read'], expiresAt: now + 1 }))
    const issuers = [
      { ...settings, issuer: 'https://first.example' },
      { ...settings, introspection },
    ]
    const parts = {
      issuers,
      post: asked.post,
      introspectionSecret: 'canary-of-the-client',
      authenticator: { authenticate },
    }
    return { asked, authenticate, ...verifierWith({ ...parts, ...more }, door) }
  }

  test('is shown what is neither a key nor a signed token, and nobody else is, whatever it answers', async () => {
    const { ask, asked, authenticate } = asking()
    expect(await ask(opaque)).toMatchObject({ ok: true, principal: { id: `${issuerUrl}#ann` } })
    expect(await ask('opaque-token-of-eve-1')).toMatchObject({ ok: false, reason: 'token-inactive' })
    asked.answers.set('opaque-token-of-bob-1', new Error('down'))
    const down = asking({ report: () => undefined })
    down.asked.answers.set(opaque, new Error('down'))
    await expect(down.ask(opaque)).rejects.toMatchObject({ code: 'store.unavailable' })
    for (const each of [authenticate, down.authenticate]) expect(each).not.toHaveBeenCalled()
    expect(asked.forms.map(({ url }) => url)).toEqual([introspection.url, introspection.url])
  })

  test('is shown no key, no signed token, and nothing of a header of its own', async () => {
    const { ask, asked, authenticate } = asking()
    expect(await ask('mrl_x-opaque-token-of-ann-1')).toMatchObject({ reason: 'unknown' })
    expect(await ask(tokenOf(pair))).toMatchObject({ ok: true })
    expect(await ask(tokenOf(pair, { iss: 'https://elsewhere.example' }))).toMatchObject({ ok: true })
    expect(authenticate).toHaveBeenCalledTimes(1)
    expect(await ask(opaque, 'header')).toMatchObject({ ok: true, principal: { id: 'eve' } })
    expect(asked.count).toBe(0)
  })

  test('AD-01: opens the door that its answer names, and is asked at each', async () => {
    const { ask, asked } = asking({}, 'control')
    expect(await ask(opaque)).toMatchObject({ reason: 'token-audience' })
    const aud = 'https://mcp.example:4001/api'
    asked.answers.set(opaque, activeWith({ aud }))
    expect(await ask(opaque)).toMatchObject({ ok: true })
    const mcp = asking()
    mcp.asked.answers.set(opaque, activeWith({ aud }))
    expect(await mcp.ask(opaque)).toMatchObject({ reason: 'token-audience' })
  })

  test('is not asked without the secret of the client', () => {
    expect(() => asking({ introspectionSecret: undefined })).toThrow('there is no secret')
  })
})

describe('the door', () => {
  test('AD-01: a key is asked about at the door where it was shown', async () => {
    const { ask, keysAsked } = verifierWith({}, 'control')
    await ask('mrl_x')
    expect(keysAsked).toEqual(['mrl_x control 192.0.2.1'])
  })

  test('AD-01: a token opens the door it is for, and no other', async () => {
    const control = tokenOf(pair, { aud: 'https://mcp.example:4001/api' })
    const mcp = tokenOf(pair)
    expect(await verifierWith({}, 'mcp').ask(mcp)).toMatchObject({ ok: true })
    expect(await verifierWith({}, 'mcp').ask(control)).toMatchObject({ reason: 'token-audience' })
    expect(await verifierWith({}, 'control').ask(control)).toMatchObject({ ok: true })
    expect(await verifierWith({}, 'control').ask(mcp)).toMatchObject({ reason: 'token-audience' })
  })

  test('an issuer that names no audience for the control plane does not open it', async () => {
    const { controlAudience: _none, ...plain } = settings
    const { ask } = verifierWith({ issuers: [plain] }, 'control')
    expect(await ask(tokenOf(pair, { aud: 'https://mcp.example:4001/api' }))).toMatchObject({
      reason: 'token-audience',
    })
  })
})

test('what is neither a key nor a token of an issuer known here is refused, and the record tells which', async () => {
  const { ask } = verifierWith()
  expect(await ask('opaque')).toMatchObject({ ok: false, reason: 'malformed' })
  expect(await ask(tokenOf(pair, { iss: 'https://elsewhere.example' }))).toMatchObject({ reason: 'token-issuer' })
})

describe('the scheme', () => {
  test('a token goes in Authorization alone, a key never with a proof', async () => {
    const { ask, keysAsked } = verifierWith()
    expect(await ask(tokenOf(pair), 'header')).toMatchObject({ reason: 'malformed' })
    expect(await ask('mrl_x', 'dpop')).toMatchObject({ reason: 'scheme' })
    expect(keysAsked).toEqual([])
  })

  test('RS-13: a proof is for the address of the door, and a token without a binding needs none', async () => {
    const { ask } = verifierWith()
    const bound = tokenOf(pair, { cnf: { jkt: thumbprintOf(pair) } })
    expect(await ask(bound, 'dpop', { dpop: proofOf(pair, bound) })).toMatchObject({ ok: true })
    expect(await ask(tokenOf(pair), 'dpop', { dpop: proofOf(pair, tokenOf(pair)) })).toMatchObject({
      reason: 'token-scheme',
    })
  })
})

test('an outage of an issuer is told, and is no bad credential', async () => {
  const told = vi.fn()
  const down = new Published()
  const { ask } = verifierWith({ fetch: down.fetch, report: told })
  await expect(ask(tokenOf(pair))).rejects.toMatchObject({ code: 'store.unavailable' })
  expect(told).toHaveBeenCalledOnce()
})
