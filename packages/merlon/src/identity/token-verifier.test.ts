import { createHmac, createPublicKey } from 'node:crypto'
import fc from 'fast-check'
import { createLocalJWKSet, jwtVerify } from 'jose'
import { describe, expect, test } from 'vitest'
import type { Awaitable } from '../call.ts'
import { scopeSet } from '../policy/scopes.ts'
import { ProofReplays } from './dpop.ts'
import { foreignIssuer, type IssuerSettings } from './foreign-issuer.ts'
import type { StandingParts, SubjectStanding } from './issuer.ts'
import {
  claimsWith,
  issuerUrl,
  keySetOf,
  now,
  Published,
  pairOf,
  parse,
  proofOf,
  resource,
  seconds,
  shownWith,
  signed,
  thumbprintOf,
  tokenOf,
} from './token.fixture.ts'
import type { JsonObject } from './token-format.ts'
import { type NotOurs, rememberedMs, TokenVerifier } from './token-verifier.ts'
import type { Verdict } from './verdict.ts'

const pair = pairOf('k1')
const other = pairOf('k2')
const rsa = pairOf('r1', 'RS256')

const settings: IssuerSettings = {
  issuer: issuerUrl,
  algorithms: ['ES256', 'RS256', 'PS256', 'EdDSA'],
  types: ['at+jwt', 'application/at+jwt'],
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

const roles = new Map([
  ['user', scopeSet(['read', 'write'])],
  ['admin', scopeSet(['read', 'write', 'admin'])],
])

const unblocked: SubjectStanding = { isBlocked: () => false }

function verifierWith(
  more: Partial<IssuerSettings> = {},
  { tenants = { tenantAt: () => anyScope }, subjects = unblocked }: Partial<StandingParts> = {},
) {
  const published = new Published()
  published.documents.set(`${issuerUrl}/keys`, keySetOf(pair, rsa))
  const time = { now }
  const clock = () => time.now
  const issuer = foreignIssuer(
    { ...settings, ...more },
    {
      resource: () => resource,
      roles,
      scopes: scopeSet(['read', 'write', 'admin']),
      tenants,
      subjects,
      parse,
      clock,
      report: () => undefined,
      fetch: published.fetch,
    },
  )
  const verifier = new TokenVerifier({
    door: 'mcp',
    origin: () => 'https://mcp.example',
    issuers: () => [issuer],
    leavesMalformed: false,
    parse,
    replays: new ProofReplays(),
    clock,
  })
  return { verifier, published, time }
}

const anyScope = { scopes: undefined }

async function verdictOf(text: string, more: Partial<IssuerSettings> = {}): Promise<Verdict | NotOurs> {
  return verifierWith(more).verifier.verify(text, 'bearer', shownWith())
}

const isGood = (verdict: Verdict | NotOurs) => typeof verdict !== 'string' && verdict.ok

const refused = (reason: string) => ({ ok: false, reason: `token-${reason}`, credential: undefined })

/** A token whose bytes are changed after it was signed. */
const [header = '', body = '', signature = ''] = tokenOf(pair).split('.')
const base64url = (text: string) => Buffer.from(text).toString('base64url')
const publicPem = createPublicKey({ key: rsa.jwk as never, format: 'jwk' }).export({ format: 'pem', type: 'spki' })
const hmac = (head: JsonObject) => {
  const text = `${base64url(JSON.stringify(head))}.${base64url(JSON.stringify(claimsWith()))}`
  return `${text}.${createHmac('sha256', publicPem).update(text).digest('base64url')}`
}

const bad: readonly (readonly [what: string, token: string, reason: string])[] = [
  ['RS-01: alg none', signed(pair, { alg: 'none', typ: 'at+jwt', kid: 'k1' }, claimsWith()), 'algorithm'],
  ['RS-01: alg None', signed(pair, { alg: 'None', typ: 'at+jwt', kid: 'k1' }, claimsWith()), 'algorithm'],
  ['RS-01: alg es256 in small letters', tokenOf(pair, {}, { alg: 'es256' }), 'algorithm'],
  ['RS-01: a secret that is our public key', hmac({ alg: 'HS256', typ: 'at+jwt', kid: 'r1' }), 'algorithm'],
  ['RS-01: an algorithm that the issuer may not use', tokenOf(pair, {}, { alg: 'ES384' }), 'algorithm'],
  ['RS-01: an algorithm that is not that of the key', tokenOf(pair, {}, { alg: 'RS256' }), 'key'],
  ['RS-01: an algorithm that is the name of a method', tokenOf(pair, {}, { alg: 'constructor' }), 'algorithm'],
  ['RS-01: alg is no text', tokenOf(pair, {}, { alg: ['ES256'] }), 'algorithm'],
  ['RS-02: another audience', tokenOf(pair, { aud: 'https://mcp.example/other' }), 'audience'],
  ['RS-02: an audience that begins like ours', tokenOf(pair, { aud: `${resource}/a` }), 'audience'],
  ['RS-02: an audience without our path', tokenOf(pair, { aud: 'https://mcp.example' }), 'audience'],
  ['RS-02: audiences without ours', tokenOf(pair, { aud: ['https://mcp.example', 'x'] }), 'audience'],
  ['RS-02: no audience', tokenOf(pair, { aud: undefined }), 'audience'],
  ['RS-02: an audience within a list', tokenOf(pair, { aud: [[resource]] }), 'audience'],
  ['RS-03: ended two minutes ago', tokenOf(pair, { exp: seconds - 120 }), 'times'],
  ['RS-03: ended', tokenOf(pair, { iat: seconds - 300, exp: seconds - 30 }), 'expired'],
  ['RS-03: never ends', tokenOf(pair, { exp: undefined }), 'times'],
  ['RS-03: ends as text', tokenOf(pair, { exp: String(seconds + 300) }), 'times'],
  ['RS-03: ends before time began', tokenOf(pair, { exp: -1 }), 'times'],
  ['RS-03: ends beyond all numbers', signed(pair, headerText(), claimText('"exp":1e400')), 'times'],
  ['RS-03: not before later', tokenOf(pair, { nbf: seconds + 31 }), 'not-yet'],
  ['RS-03: issued later', tokenOf(pair, { iat: seconds + 31 }), 'not-yet'],
  ['RS-03: issued as text', tokenOf(pair, { iat: 'now' }), 'times'],
  ['RS-03: lives longer than a day', tokenOf(pair, { exp: seconds + 86_401 }), 'lifetime'],
  ['RS-03: lives longer than a day from now', tokenOf(pair, { iat: undefined, exp: seconds + 86_401 }), 'lifetime'],
  ['RS-04: an ID token', tokenOf(pair, {}, { typ: 'JWT' }), 'type'],
  ['RS-04: a token without a type', tokenOf(pair, {}, { typ: undefined }), 'type'],
  ['RS-04: a logout token', tokenOf(pair, {}, { typ: 'logout+jwt' }), 'type'],
  ['RS-04: a proof of possession', tokenOf(pair, {}, { typ: 'dpop+jwt' }), 'type'],
  ['RS-05: crit', tokenOf(pair, {}, { crit: ['exp'] }), 'header'],
  ['RS-05: jku', tokenOf(pair, {}, { jku: 'https://evil.example/keys' }), 'header'],
  ['RS-05: x5u', tokenOf(pair, {}, { x5u: 'https://evil.example/cert' }), 'header'],
  ['RS-05: x5c', tokenOf(pair, {}, { x5c: ['MIIB'] }), 'header'],
  ['RS-05: jwk', tokenOf(other, {}, { jwk: other.jwk }), 'header'],
  ['RS-05: a kid of 100 KB', tokenOf(pair, {}, { kid: 'k'.repeat(100_000) }), 'length'],
  ['RS-05: a kid of 257 characters', tokenOf(pair, {}, { kid: 'k'.repeat(257) }), 'key-id'],
  ['RS-05: a kid with a space', tokenOf(pair, {}, { kid: "' OR 1=1--" }), 'key-id'],
  ['RS-05: a kid that is a path', tokenOf(pair, {}, { kid: '../../etc/passwd' }), 'key'],
  ['RS-05: a kid that is no text', tokenOf(pair, {}, { kid: 1 }), 'key-id'],
  ['RS-07: no subject', tokenOf(pair, { sub: undefined }), 'subject'],
  ['RS-07: a subject with a line end', tokenOf(pair, { sub: 'ann\nbob' }), 'subject'],
  ['RS-07: a subject of 256 characters', tokenOf(pair, { sub: 's'.repeat(256) }), 'subject'],
  ['RS-09: a repeated claim', signed(pair, headerText(), claimText('"sub":"eve"')), 'json'],
  ['RS-09: a repeated claim, spelled otherwise', signed(pair, headerText(), claimText('"s\\u0075b":"eve"')), 'json'],
  ['RS-09: a repeated header', signed(pair, headerText('"alg":"none"'), claimText()), 'json'],
  ['RS-09: no JSON', signed(pair, headerText(), 'sub=ann'), 'json'],
  ['RS-09: a list of claims', signed(pair, headerText(), '[]'), 'json'],
  ['RS-09: a claim named __proto__', signed(pair, headerText(), claimText('"__proto__":{}')), 'json'],
  ['RS-09: a longer spelling of the signature', `${header}.${body}.${signature}=`, 'base64'],
  ['RS-09: another spelling of the last bits', `${header}.${body}.${bent(signature)}`, 'base64'],
  ['RS-09: white space within', `${header}.${body.slice(0, 4)} ${body.slice(4)}.${signature}`, 'base64'],
  ['RS-13: bound to a client certificate', tokenOf(pair, { cnf: { 'x5t#S256': 'A'.repeat(43) } }), 'certificate'],
  ['RS-13: bound to a shorter thumbprint', tokenOf(pair, { cnf: { 'x5t#S256': 'A'.repeat(42) } }), 'binding'],
  [
    'RS-13: bound to a certificate and to a key',
    tokenOf(pair, { cnf: { 'x5t#S256': 'A'.repeat(43), jkt: 'A'.repeat(43) } }),
    'binding',
  ],
  ['RS-13: bound to the name of a certificate', tokenOf(pair, { cnf: { x5t: 'A'.repeat(43) } }), 'binding'],
  ['RS-13: bound to a key and to more', tokenOf(pair, { cnf: { jkt: 'A'.repeat(43), jku: 'x' } }), 'binding'],
  ['RS-13: bound to nothing', tokenOf(pair, { cnf: {} }), 'binding'],
  ['a signature of another key', tokenOf({ ...other, kid: 'k1' }), 'signature'],
  [
    'a signature over other claims',
    `${header}.${tokenOf(pair, { sub: 'eve' }).split('.')[1]}.${signature}`,
    'signature',
  ],
  [
    'half a signature',
    `${header}.${body}.${Buffer.from(signature, 'base64url').subarray(0, 32).toString('base64url')}`,
    'signature',
  ],
  ['a key that is not published', tokenOf(other), 'key'],
]

function headerText(more = ''): string {
  return `{"alg":"ES256","typ":"at+jwt","kid":"k1"${more && `,${more}`}}`
}

function claimText(more = ''): string {
  return `{"iss":"${issuerUrl}","aud":"${resource}","sub":"ann","iat":${seconds}${more.includes('"exp"') ? '' : `,"exp":${seconds + 300}`}${more && `,${more}`}}`
}

/** The same bytes with other spare bits: what a lenient reader takes for the same signature. */
function bent(text: string): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  return text.slice(0, -1) + alphabet[alphabet.indexOf(text.at(-1)!) + 1]
}

describe('a token is refused', () => {
  test.each(bad)('%s', async (_what, token, reason) => {
    expect(await verdictOf(token)).toEqual(refused(reason))
  })

  test.each(['', 'a', 'a.b', 'a.b.', '.b.c', 'a..c', `${header}.${body}`, `${header}.${body}.${signature}.${body}.x`])(
    'RS-09: what has not three parts is no token: %o',
    async (text) => expect(await verdictOf(text)).toBe('malformed'),
  )

  test('RS-02: the issuer is compared to the letter', async () => {
    for (const iss of [`${issuerUrl}/`, 'https://ID.example', 'http://id.example', undefined, [issuerUrl]]) {
      expect(await verdictOf(tokenOf(pair, { iss }))).toBe('token-issuer')
    }
  })

  test('RS-04: claims that an issuer must write to the letter', async () => {
    const required = { typ: 'Bearer' }
    expect(await verdictOf(tokenOf(pair, { typ: 'Bearer' }), { required })).toMatchObject({ ok: true })
    expect(await verdictOf(tokenOf(pair, { typ: 'ID' }), { required })).toEqual(refused('required-claim'))
    expect(await verdictOf(tokenOf(pair), { required: { toString: 'x' } })).toEqual(refused('required-claim'))
  })

  test('RS-13: where the issuer must bind tokens, one that is not bound is refused', async () => {
    expect(await verdictOf(tokenOf(pair), { dpop: 'required' })).toEqual(refused('unbound'))
  })

  test('RS-07: a good token that names no tenant is told so, and is no bad credential', async () => {
    const { verifier } = verifierWith({ tenant: { claim: 'org', values: { 'Org 1': 'a' } } })
    const ask = async (claims: JsonObject) => verifier.verify(tokenOf(pair, claims), 'bearer', shownWith())
    expect(await ask({ org: 'Org 1' })).toMatchObject({ ok: true, principal: { tenant: 'a' } })
    for (const org of [undefined, 'Org 2', ['Org 1', 'Org 1'], { 0: 'Org 1' }, '__proto__', 'toString']) {
      await expect(ask({ org })).rejects.toMatchObject({ code: 'tenant.missing' })
    }
  })
})

describe('a good token', () => {
  test.each(['ES256', 'RS256', 'PS256', 'EdDSA'] as const)('is taken where it is signed with %s', async (alg) => {
    const mine = pairOf('mine', alg)
    const { verifier, published } = verifierWith()
    published.documents.set(`${issuerUrl}/keys`, keySetOf(mine))
    expect(await verifier.verify(tokenOf(mine), 'bearer', shownWith())).toMatchObject({ ok: true })
  })

  test.each([
    ['one audience of several', { aud: ['x', resource] }],
    ['within the skew of its end', { iat: seconds - 300, exp: seconds - 29 }],
    ['within the skew of its beginning', { nbf: seconds + 30, iat: seconds + 30 }],
    ['times with fractions', { iat: seconds - 0.5, exp: seconds + 0.5 }],
    ['a day of life', { exp: seconds + 86_400 }],
  ])('is taken with %s', async (_what, claims) => {
    expect(await verdictOf(tokenOf(pair, claims))).toMatchObject({ ok: true })
  })

  test('RS-07: stands for issuer and subject, bound to both and not to its bytes', async () => {
    const verdict = await verdictOf(tokenOf(pair, { jti: 'one' }))
    expect(verdict).toEqual({
      ok: true,
      principal: {
        id: 'https://id.example#ann',
        kind: 'external',
        tenant: 'a',
        credential: 'https://id.example#ann',
        role: 'user',
        granted: new Set(['read', 'write']),
        effective: new Set(['read', 'write']),
        expiresAt: now + 330_000,
        binding: 'a\nexternal\nhttps://id.example\nann',
      },
    })
    expect(await verdictOf(tokenOf(pair, { jti: 'two' }))).toEqual(verdict)
  })

  test.each([
    ['a text', 'read files:x', ['read']],
    ['a list', ['read', 'write', 7, 'nobody:knows'], ['read', 'write']],
    ['nothing', undefined, []],
    ['another kind', { read: true }, []],
    ['more than the role', 'admin', ['read', 'write']],
  ])('RS-08: may do what %s says and the role grants', async (_what, scope, expected) => {
    const verdict = await verdictOf(tokenOf(pair, { scope }))
    expect(isGood(verdict) && [...verdict.principal.effective].sort()).toEqual(expected)
  })

  test('RS-08: may do no more than the ceiling of its issuer', async () => {
    const verdict = await verdictOf(tokenOf(pair, { scope: 'read write' }), { scopesMax: ['read'] })
    expect(isGood(verdict) && [...verdict.principal.effective]).toEqual(['read'])
  })

  test('RS-08: a role is what a table makes of a claim, the first that fits; without one nothing is granted', async () => {
    const role = { claim: ['realm_access', 'roles'], values: { boss: 'admin', staff: 'user' } }
    const roleOf = async (roles: unknown) => {
      const verdict = await verdictOf(tokenOf(pair, { realm_access: { roles } }), { role })
      return isGood(verdict) ? [verdict.principal.role, verdict.principal.granted.size] : undefined
    }
    expect(await roleOf(['staff', 'boss'])).toEqual(['admin', 3])
    expect(await roleOf('staff')).toEqual(['user', 2])
    expect(await roleOf(['admin', 'operator'])).toEqual(['', 0])
    expect(await roleOf(undefined)).toEqual(['', 0])
  })

  test('its tenant limits it, and is asked about on every call', async () => {
    let tenant: { scopes: ReadonlySet<string> | undefined } | undefined = { scopes: new Set(['read']) }
    const { verifier } = verifierWith({}, { tenants: { tenantAt: () => tenant } })
    const token = tokenOf(pair)
    const ask = async () => verifier.verify(token, 'bearer', shownWith())
    const limited = await ask()
    expect(isGood(limited) && [...limited.principal.effective]).toEqual(['read'])
    expect(await ask()).toBe(limited)
    tenant = anyScope
    expect(await ask()).toMatchObject({ principal: { effective: new Set(['read', 'write']) } })
    tenant = undefined
    expect(await ask()).toEqual({ ok: false, reason: 'tenant-inactive', credential: 'https://id.example#ann' })
  })

  test('RS-12: whether it is blocked is asked on every call, of a token that was seen before too', async () => {
    const asked: unknown[] = []
    let blocked: Awaitable<boolean> = false
    const { verifier } = verifierWith(
      {},
      {
        subjects: {
          isBlocked(id, subject, tenant, at) {
            asked.push([id, subject, tenant, at])
            return blocked
          },
        },
      },
    )
    const ask = () => verifier.verify(tokenOf(pair), 'bearer', shownWith())
    expect(await ask()).toMatchObject({ ok: true })
    const about = ['https://id.example#ann', { issuer: 'https://id.example', subject: 'ann' }, 'a', now]
    expect(asked).toEqual([about])
    expect(ask()).toMatchObject({ ok: true })
    const refused = { ok: false, reason: 'subject-blocked', credential: 'https://id.example#ann' }
    blocked = true
    expect(ask()).toEqual(refused)
    blocked = Promise.resolve(true)
    expect(await ask()).toEqual(refused)
    expect(asked).toEqual([about, about, about, about])
  })
})

describe('what was verified is remembered', () => {
  test('and answers at once, without a look at the key set, until the token ends', async () => {
    const { verifier, published, time } = verifierWith()
    const token = tokenOf(pair, { exp: seconds + 60 })
    await verifier.verify(token, 'bearer', shownWith())
    published.documents.clear()
    expect(verifier.verify(token, 'bearer', shownWith())).toMatchObject({ ok: true })
    time.now = now + 89_999
    expect(verifier.verify(token, 'bearer', shownWith())).toMatchObject({ ok: true })
    time.now = now + 90_000
    expect(await verifier.verify(token, 'bearer', shownWith())).toEqual(refused('expired'))
  })

  test('for so long: then the key must still be in the key set', async () => {
    const { verifier, published, time } = verifierWith()
    const token = tokenOf(pair, { exp: seconds + 3_600 })
    await verifier.verify(token, 'bearer', shownWith())
    published.documents.set(`${issuerUrl}/keys`, keySetOf(other))
    published.maxAgeMs = 0
    time.now = now + 3_000_000
    // The set is renewed beside the calls, so the first still finds the old one.
    await verifier.verify(tokenOf(pair, { jti: 'a', exp: seconds + 3_600 }), 'bearer', shownWith())
    await Promise.resolve()
    time.now += rememberedMs
    expect(await verifier.verify(token, 'bearer', shownWith())).toEqual(refused('key'))
  })

  test('but not where the clock was set back, nor after it was told to forget', async () => {
    const { verifier, time } = verifierWith()
    const token = tokenOf(pair)
    await verifier.verify(token, 'bearer', shownWith())
    time.now = now - 1
    expect(verifier.verify(token, 'bearer', shownWith())).toBeInstanceOf(Promise)
    time.now = now
    await verifier.verify(token, 'bearer', shownWith())
    verifier.forget()
    expect(await verifier.verify(token, 'bearer', shownWith())).toMatchObject({ ok: true })
  })

  test('RS-13: a bound token needs its proof on every call', async () => {
    const { verifier } = verifierWith()
    const token = tokenOf(pair, { cnf: { jkt: thumbprintOf(other) } })
    const ask = async (proof: string | undefined, requestId: string, scheme: 'bearer' | 'dpop' = 'dpop') =>
      verifier.verify(token, scheme, shownWith(proof === undefined ? {} : { dpop: proof }, requestId))
    expect(await ask(proofOf(other, token), 'r1')).toMatchObject({ ok: true })
    expect(await ask(proofOf(other, token), 'r2')).toEqual(refused('proof-replayed'))
    expect(await ask(undefined, 'r3')).toEqual(refused('proof-missing'))
    expect(await ask(proofOf(other, token, { jti: 'proof-2' }), 'r4', 'bearer')).toEqual(refused('scheme'))
    expect(await ask(proofOf(other, token, { jti: 'proof-3' }), 'r5')).toMatchObject({ ok: true })
  })
})

describe('any bytes', () => {
  test('give an answer, and never a throw', async () => {
    const { verifier } = verifierWith()
    const part = fc.oneof(
      fc.base64String(),
      fc.string().map(base64url),
      fc.json().map(base64url),
      fc.constantFrom(header, body, signature, ''),
    )
    const text = fc.oneof(
      fc.string({ maxLength: 200 }),
      fc.array(part, { maxLength: 6 }).map((parts) => parts.join('.')),
    )
    await fc.assert(
      fc.asyncProperty(text, async (token) => {
        const verdict = await verifier.verify(token, 'bearer', shownWith())
        expect(typeof verdict === 'string' || !verdict.ok || token === tokenOfHeader).toBe(true)
      }),
      { numRuns: 2_000 },
    )
  })

  const tokenOfHeader = `${header}.${body}.${signature}`

  test('that we accept, an independent implementation accepts too', async () => {
    const keys = createLocalJWKSet({ keys: [pair.jwk, rsa.jwk] as never })
    const { verifier } = verifierWith()
    const time = fc.oneof(
      { weight: 8, arbitrary: fc.integer({ min: seconds - 60, max: seconds + 60 }) },
      { weight: 1, arbitrary: fc.constantFrom(undefined, '1', -1, 1e300, null, seconds + 100_000) },
    )
    const claims = fc.record(
      {
        exp: time,
        nbf: time,
        iat: time,
        aud: fc.constantFrom(resource, [resource], [resource, 'x'], [], 'x', undefined, null),
        sub: fc.constantFrom('ann', 'bob', 'eve', '', 7),
      },
      { requiredKeys: [] },
    )
    const heads = fc.record(
      {
        alg: fc.constantFrom('ES256', 'ES256', 'ES256', 'RS256', 'none', 'HS256'),
        typ: fc.constantFrom('at+jwt', 'AT+JWT', 'JWT', 'application/at+jwt'),
        kid: fc.constantFrom('k1', 'k1', 'k1', 'r1', 'x', undefined),
      },
      { requiredKeys: [] },
    )
    let accepted = 0
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(pair, pair, other), heads, claims, async (by, head, claim) => {
        const token = tokenOf(by, claim, head)
        const verdict = await verifier.verify(token, 'bearer', shownWith())
        if (typeof verdict === 'string' || !verdict.ok) return
        accepted++
        await jwtVerify(token, keys, {
          issuer: issuerUrl,
          audience: resource,
          currentDate: new Date(now),
          clockTolerance: 30,
          algorithms: ['ES256', 'RS256'],
        })
      }),
      { numRuns: 1_500, seed: 7 },
    )
    expect(accepted).toBeGreaterThan(20)
  })
})
