import { inspect } from 'node:util'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Principal } from '../call.ts'
import { scopeSet } from '../policy/scopes.ts'
import { ProofReplays } from './dpop.ts'
import { foreignIssuer, type IssuerSettings } from './foreign-issuer.ts'
import { Asked, activeWith } from './introspection.fixture.ts'
import { tryAgainMs } from './introspection.ts'
import type { StandingParts } from './issuer.ts'
import { isOpaque, OpaqueVerifier, renewedAfterMs, yesMs } from './opaque-verifier.ts'
import {
  issuerUrl,
  now,
  pairOf,
  parse,
  proofOf,
  resource,
  seconds,
  shownWith,
  thumbprintOf,
  tokenOf,
} from './token.fixture.ts'
import type { JsonObject } from './token-format.ts'
import type { Door, Scheme, Verdict } from './verdict.ts'

const token = 'opaque-token-of-ann-1'
const settings: IssuerSettings = {
  issuer: issuerUrl,
  algorithms: ['ES256'],
  types: ['at+jwt'],
  untyped: false,
  required: {},
  introspection: { url: `${issuerUrl}/introspect`, clientId: 'merlon' },
  tenant: { value: 'a' },
  role: { value: 'user' },
  scopes: { claim: 'scope' },
  skewMs: 30_000,
  lifetimeMsMax: 86_400_000,
  dpop: 'optional',
  allowPrivateNetwork: false,
  dangerouslyAllowHttp: false,
}

function verifierWith(
  answer: JsonObject | string | Error | undefined,
  more: Partial<IssuerSettings> = {},
  standing: Partial<StandingParts> & { readonly door?: Door; readonly rememberedMax?: number } = {},
) {
  const asked = new Asked()
  if (answer !== undefined) asked.answers.set(token, answer)
  const { time } = asked
  const clock = () => time.now
  const { door = 'mcp', rememberedMax = 10, ...parts } = standing
  const issuer = foreignIssuer(
    { ...settings, ...more },
    {
      resource: () => resource,
      roles: new Map([['user', scopeSet(['read', 'write'])]]),
      scopes: scopeSet(['read', 'write', 'admin']),
      tenants: { tenantAt: () => ({ scopes: undefined }) },
      subjects: { isBlocked: () => false },
      ...parts,
      parse,
      clock,
      report: () => undefined,
      fetch: () => expect.unreachable('the key set has nothing to do with it'),
      introspection: asked.introspection,
    },
  )
  const verifier = new OpaqueVerifier({
    door,
    issuer,
    opaque: issuer.opaque ?? expect.unreachable('it is asked about tokens'),
    origin: () => 'https://mcp.example',
    parse,
    replays: new ProofReplays(),
    clock,
    steadyClock: clock,
    rememberedMax,
  })
  const ask = (text = token, scheme: Scheme = 'bearer', shown = shownWith()) => verifier.verify(text, scheme, shown)
  const admitted = async (): Promise<Principal> => {
    const verdict = await ask()
    return verdict.ok ? verdict.principal : expect.unreachable(`refused: ${verdict.reason}`)
  }
  const vouched = async () => (await admitted()).vouched ?? expect.unreachable('nobody vouches for it')
  return { asked, time, ask, admitted, vouched }
}

const refused = (reason: string): Verdict => ({ ok: false, reason: `token-${reason}`, credential: undefined })
const outage = { code: 'store.unavailable', detail: { reason: 'issuer' } }
const other = pairOf('k2')

test('RS-12: an opaque token stands for whom its issuer says, as a signed one would', async () => {
  const { admitted, vouched } = verifierWith(activeWith())
  expect(await admitted()).toEqual({
    id: 'https://id.example#ann',
    kind: 'external',
    tenant: 'a',
    credential: 'https://id.example#ann',
    role: 'user',
    granted: new Set(['read', 'write']),
    effective: new Set(['read', 'write']),
    expiresAt: now + 330_000,
    binding: 'a\nexternal\nhttps://id.example\nann',
    vouched: await vouched(),
  })
  // Whoever prints a principal does not print its token.
  for (const text of [JSON.stringify(await vouched()), inspect(await vouched(), { depth: 8, showHidden: true })])
    expect(text).not.toContain(token)
})

describe('RS-12: it is refused where its issuer says', () => {
  const answers: readonly (readonly [what: string, answer: JsonObject | undefined, reason: string])[] = [
    ['that it knows no such token', undefined, 'inactive'],
    ['that it is not active, whatever else', { ...activeWith(), active: false }, 'inactive'],
    ['another issuer', activeWith({ iss: 'https://evil.example' }), 'issuer'],
    ['no issuer at all, in as many words', activeWith({ iss: null }), 'issuer'],
    ['another audience', activeWith({ aud: 'https://mcp.example/other' }), 'audience'],
    ['no audience', activeWith({ aud: undefined }), 'audience'],
    ['audiences without ours', activeWith({ aud: ['x', 'https://mcp.example'] }), 'audience'],
    ['that it never ends', activeWith({ exp: undefined }), 'times'],
    ['an end as text', activeWith({ exp: String(seconds + 300) }), 'times'],
    ['that it has ended', activeWith({ iat: seconds - 300, exp: seconds - 30 }), 'expired'],
    ['that it has not begun', activeWith({ nbf: seconds + 31 }), 'not-yet'],
    ['that it was issued later', activeWith({ iat: seconds + 31 }), 'not-yet'],
    ['that it lives for two days', activeWith({ exp: seconds + 172_800 }), 'lifetime'],
    ['no subject', activeWith({ sub: undefined }), 'subject'],
    ['a subject that is no text', activeWith({ sub: ['ann'] }), 'subject'],
    ['that it is a refresh token', activeWith({ token_type: 'refresh_token' }), 'type'],
    ['that it is used as a refresh token', activeWith({ token_use: 'refresh_token' }), 'type'],
    ['a type that is no text', activeWith({ token_type: 7 }), 'type'],
    ['a binding that we cannot ask for', activeWith({ cnf: { kid: 'x' } }), 'binding'],
    ['two bindings', activeWith({ cnf: { jkt: 'x'.repeat(43), 'x5t#S256': 'x'.repeat(43) } }), 'binding'],
    ['a binding that is none', activeWith({ cnf: null }), 'binding'],
  ]

  test.each(answers)('%s', async (_what, answer, reason) => {
    const { ask } = verifierWith(answer)
    expect(await ask()).toMatchObject(refused(reason))
  })

  test('a claim that is not the one that is required', async () => {
    const { ask } = verifierWith(activeWith({ typ: 'Refresh' }), { required: { typ: 'Bearer' } })
    expect(await ask()).toEqual(refused('required-claim'))
  })

  test('no tenant: then it is good, and opens nothing', async () => {
    const { ask } = verifierWith(activeWith(), { tenant: { claim: 'org' } })
    await expect(ask()).rejects.toMatchObject({ code: 'tenant.missing' })
  })
})

test.each([
  ['without its own name', activeWith({ iss: undefined })],
  ['with one audience of several', activeWith({ aud: ['x', resource] })],
  ['within the skew of its end', activeWith({ iat: seconds - 300, exp: seconds - 29 })],
  [
    'without a time of issue, a client or a type',
    activeWith({ iat: undefined, client_id: undefined, token_type: undefined }),
  ],
  ['with a type in other letters', activeWith({ token_type: 'bearer', token_use: 'access_token' })],
])('is taken %s', async (_what, answer) => {
  expect(await verifierWith(answer).ask()).toMatchObject({ ok: true })
})

test('RS-08: may do what its scope says and the role grants, and no more than the ceiling', async () => {
  const scopesOf = async (scope: unknown, more: Partial<IssuerSettings> = {}) => [
    ...(await verifierWith(activeWith({ scope }), more).admitted()).effective,
  ]
  expect(await scopesOf('read files:x')).toEqual(['read'])
  expect(await scopesOf(undefined)).toEqual([])
  expect(await scopesOf('read write', { scopesMax: ['write'] })).toEqual(['write'])
})

describe('RS-09: nothing is asked about what is no opaque token', () => {
  test.each([
    ['signed', tokenOf(other)],
    ['unsigned, in two parts', tokenOf(other).split('.').slice(0, 2).join('.')],
    ['unsigned, with an empty third', `${tokenOf(other).split('.').slice(0, 2).join('.')}.`],
    ['detached', tokenOf(other).replace(/\.[^.]+\./, '..')],
    ['encrypted, in five parts', 'eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIn0..aXZpdml2aXZpdml2.Y2lwaGVy.dGFndGFndGFndGFn'],
    ['a header with blanks', `${Buffer.from('{ "alg":"none"}').toString('base64url')}.e30.x`],
    ['JSON', '{"payload":"e30","signatures":[]}'],
    ['short', 'x'.repeat(15)],
    ['long', 'x'.repeat(2_049)],
    ['with a blank', 'opaque-token of-ann-1'],
    ['with a line break at its end', `${token}\n`],
    ['with letters from elsewhere', 'opaque-token-öf-ann-1'],
    ['with = within', 'opaque-token=of-ann-1'],
    ['empty', ''],
  ])('%s', async (_what, text) => {
    const { ask, asked } = verifierWith(undefined)
    asked.answers.set(text, activeWith())
    expect(await ask(text)).toEqual(refused('opaque'))
    expect(asked.count).toBe(0)
  })

  test('and about any bytes never a throw', () => {
    fc.assert(fc.property(fc.oneof(fc.string(), fc.base64String()), (text) => typeof isOpaque(text) === 'boolean'))
  })

  test('RS-02: nor at a door that tokens of the issuer do not open', async () => {
    const { ask, asked } = verifierWith(activeWith({ aud: 'https://control.example' }), {}, { door: 'control' })
    expect(await ask()).toEqual(refused('audience'))
    expect(asked.count).toBe(0)
    const controlAudience = 'https://control.example'
    const opened = verifierWith(activeWith({ aud: controlAudience }), { controlAudience }, { door: 'control' })
    expect(await opened.ask()).toMatchObject({ ok: true })
    expect(await verifierWith(activeWith(), { controlAudience }, { door: 'control' }).ask()).toEqual(
      refused('audience'),
    )
  })
})

describe('RS-13: a token that is bound', () => {
  test('to a key needs its proof on every call, remembered or not', async () => {
    const { ask } = verifierWith(activeWith({ cnf: { jkt: thumbprintOf(other) }, token_type: 'DPoP' }))
    const show = (jti: string | undefined, requestId: string, scheme: Scheme = 'dpop') =>
      ask(token, scheme, shownWith(jti === undefined ? {} : { dpop: proofOf(other, token, { jti }) }, requestId))
    expect(await show(undefined, 'r1')).toEqual(refused('proof-missing'))
    expect(await show('one', 'r2')).toMatchObject({ ok: true })
    expect(await show('one', 'r3')).toEqual(refused('proof-replayed'))
    expect(await show('two', 'r4', 'bearer')).toEqual(refused('scheme'))
    expect(await show('two', 'r5')).toMatchObject({ ok: true })
    expect(await show(undefined, 'r6', 'proven')).toMatchObject({ ok: true })
  })

  test('to a certificate is good over its connection alone', async () => {
    const certificateThumbprint = 'c'.repeat(43)
    const { ask } = verifierWith(activeWith({ cnf: { 'x5t#S256': certificateThumbprint } }))
    const over = (thumbprint?: string) => {
      const shown = shownWith()
      return ask(token, 'bearer', { ...shown, head: { ...shown.head, certificateThumbprint: thumbprint } })
    }
    expect(await over()).toEqual(refused('certificate'))
    expect(await over('d'.repeat(43))).toEqual(refused('certificate'))
    expect(await over(certificateThumbprint)).toMatchObject({ ok: true })
  })

  test('to nothing is refused where it must be, and one that is not bound is no proof', async () => {
    expect(await verifierWith(activeWith(), { dpop: 'required' }).ask()).toEqual(refused('unbound'))
    expect(await verifierWith(activeWith()).ask(token, 'dpop')).toEqual(refused('scheme'))
  })
})

test('RS-12: its tenant, and whether its subject is blocked, is asked on every call', async () => {
  let tenant: { scopes: ReadonlySet<string> | undefined } | undefined = { scopes: new Set(['read']) }
  let blocked = false
  const { ask, asked } = verifierWith(
    activeWith(),
    {},
    { tenants: { tenantAt: () => tenant }, subjects: { isBlocked: () => blocked } },
  )
  expect(await ask()).toMatchObject({ ok: true, principal: { effective: new Set(['read']) } })
  blocked = true
  const credential = 'https://id.example#ann'
  expect(ask()).toEqual({ ok: false, reason: 'subject-blocked', credential })
  tenant = undefined
  expect(ask()).toEqual({ ok: false, reason: 'tenant-inactive', credential })
  expect(asked.count).toBe(1)
})

describe('RS-12: a yes', () => {
  test('answers at once for half a minute, counted from the question, and then no longer', async () => {
    const { ask, asked, time } = verifierWith(activeWith())
    let answer = () => {}
    asked.gate = new Promise((resolve) => {
      answer = resolve
    })
    const first = ask()
    // The issuer takes its time; what it says may be as old as the question.
    time.now += 4_000
    answer()
    expect(await first).toMatchObject({ ok: true })
    asked.answers.clear()
    time.now = now + yesMs - 1
    expect(ask()).toMatchObject({ ok: true })
    time.now = now + yesMs
    expect(await ask()).toEqual(refused('inactive'))
    expect(asked.count).toBe(2)
  })

  test('is good no longer than the token', async () => {
    const { ask, asked, time } = verifierWith(activeWith({ iat: seconds - 300, exp: seconds - 20 }))
    expect(await ask()).toMatchObject({ ok: true })
    time.now += 9_999
    expect(ask()).toMatchObject({ ok: true })
    time.now += 1
    expect(await ask()).toEqual(refused('expired'))
    expect(asked.count).toBe(2)
  })

  test('is not taken for one while the issuer does not answer, and nobody is refused for that', async () => {
    const { ask, asked, time } = verifierWith(activeWith())
    await ask()
    asked.answers.set(token, new Error('down'))
    time.now += yesMs
    await expect(ask()).rejects.toMatchObject(outage)
    // It is not asked again for every call.
    await expect(ask()).rejects.toMatchObject(outage)
    expect(asked.count).toBe(2)
    asked.answers.set(token, activeWith())
    time.now += tryAgainMs
    expect(await ask()).toMatchObject({ ok: true })
    expect(asked.failures.all).toBe(0)
  })

  test('is remembered of so many', async () => {
    const { ask, asked } = verifierWith(activeWith(), {}, { rememberedMax: 2 })
    for (const each of ['second', 'third']) asked.answers.set(`opaque-token-${each}`, activeWith())
    for (const text of [token, 'opaque-token-second', 'opaque-token-third']) await ask(text)
    expect(asked.count).toBe(3)
    await ask()
    expect(asked.count).toBe(4)
  })

  test('is asked for once, however many show the token at a time', async () => {
    const { ask, asked } = verifierWith(activeWith())
    const verdicts = await Promise.all(Array.from({ length: 50 }, () => ask()))
    expect(verdicts.every(({ ok }) => ok)).toBe(true)
    expect(asked.count).toBe(1)
  })
})

describe('RS-12: a no', () => {
  test('is asked for anew, and a yes after it is a new one', async () => {
    const { ask, asked } = verifierWith(undefined)
    expect(await ask()).toMatchObject(refused('inactive'))
    expect(await ask()).toMatchObject(refused('inactive'))
    asked.answers.set(token, activeWith())
    expect(await ask()).toMatchObject({ ok: true })
    expect(asked.count).toBe(3)
  })

  test('is counted once for each who shows the token, before it is asked for or after', async () => {
    const { ask, asked } = verifierWith(undefined)
    const verdicts = await Promise.all([ask(), ask(), ask()])
    expect(verdicts.map((verdict) => !verdict.ok && verdict.counted === true)).toEqual([true, false, false])
    expect([asked.count, asked.failures.all]).toEqual([1, 1])
  })

  test('counts the token as one that nobody knows: its bearer guesses from then on', async () => {
    const { ask, asked, time } = verifierWith(activeWith())
    await ask()
    asked.failures.max = 0
    time.now += yesMs
    // What was good is asked about, whatever the neighbours of its bearer did.
    expect(await ask()).toMatchObject({ ok: true })
    asked.answers.clear()
    time.now += yesMs
    expect(await ask()).toEqual(refused('inactive'))
    await expect(ask()).rejects.toMatchObject({ code: 'rate.exceeded' })
    expect(asked.count).toBe(3)
  })

  test('that follows from what the issuer says is counted where others are', async () => {
    const { ask, asked } = verifierWith(activeWith({ aud: 'https://other.example' }))
    expect(await ask()).toEqual(refused('audience'))
    expect(asked.failures.all).toBe(0)
  })
})

describe('RS-12: what goes on with a token', () => {
  /** Lets what was begun beside come to its end. */
  const settled = () => new Promise((resolve) => setImmediate(resolve))

  test('has the issuer asked in time, and goes on while it says yes', async () => {
    const { vouched, asked, time, admitted } = verifierWith(activeWith())
    const word = await vouched()
    for (let at = 0; at < 10; at++) {
      time.now += renewedAfterMs
      expect(word.over()).toBeUndefined()
      await settled()
    }
    expect(asked.count).toBe(11)
    // Whoever calls meanwhile finds the same yes.
    expect((await admitted()).vouched).toBe(word)
    expect(asked.count).toBe(11)
  })

  test('does not have it asked before, nor twice at a time', async () => {
    const { vouched, asked, time } = verifierWith(activeWith())
    const word = await vouched()
    time.now += renewedAfterMs - 1
    expect(word.over()).toBeUndefined()
    expect(asked.count).toBe(1)
    time.now += 1
    expect([word.over(), word.over()]).toEqual([undefined, undefined])
    expect(asked.count).toBe(2)
    await settled()
  })

  test('ends when it says no', async () => {
    const { vouched, asked, time, ask } = verifierWith(activeWith())
    const word = await vouched()
    asked.answers.clear()
    time.now += renewedAfterMs
    expect(word.over()).toBeUndefined()
    await settled()
    expect(word.over()).toBe('withdrawn')
    // A yes that comes later is another.
    asked.answers.set(token, activeWith())
    expect(await ask()).toMatchObject({ ok: true })
    expect(word.over()).toBe('withdrawn')
  })

  test('ends when a call with the same token was told no', async () => {
    const { vouched, asked, time, ask } = verifierWith(activeWith())
    const word = await vouched()
    asked.answers.clear()
    time.now += yesMs
    expect(await ask()).toEqual(refused('inactive'))
    expect(word.over()).toBe('withdrawn')
  })

  test('ends half a minute after the last yes where no other comes, and that is our outage', async () => {
    const { vouched, asked, time } = verifierWith(activeWith())
    const word = await vouched()
    asked.answers.set(token, new Error('down'))
    for (let ms = 0; ms < yesMs; ms += 500) {
      expect(word.over()).toBeUndefined()
      await settled()
      time.now += 500
    }
    expect(word.over()).toBe('unrenewed')
    // Every five seconds, in the second half of it.
    expect(asked.count).toBe(4)
  })

  test.each([
    ['its scopes', { scope: 'read' }],
    ['its subject', { sub: 'bob' }],
    ['what it is bound to', { cnf: { jkt: thumbprintOf(other) } }],
    ['its audience', { aud: 'https://other.example' }],
  ])('ends when the issuer says something else of %s', async (_what, claims) => {
    const { vouched, asked, time } = verifierWith(activeWith())
    const word = await vouched()
    asked.answers.set(token, activeWith(claims))
    time.now += renewedAfterMs
    expect(word.over()).toBeUndefined()
    await settled()
    expect(word.over()).toBe('withdrawn')
  })

  test('ends when it is bound to another key than before', async () => {
    const { ask, asked, time } = verifierWith(activeWith({ cnf: { jkt: thumbprintOf(other) } }))
    const verdict = await ask(token, 'proven')
    const word = (verdict.ok && verdict.principal.vouched) || expect.unreachable('nobody vouches for it')
    for (const [jkt, over] of [
      [thumbprintOf(other), undefined],
      [thumbprintOf(pairOf('k3')), 'withdrawn'],
    ] as const) {
      asked.answers.set(token, activeWith({ cnf: { jkt } }))
      time.now += renewedAfterMs
      expect(word.over()).toBeUndefined()
      await settled()
      expect(word.over()).toBe(over)
    }
  })

  test('ends when its tenant is said no longer', async () => {
    const { vouched, asked, time } = verifierWith(activeWith({ org: 'a' }), { tenant: { claim: 'org' } })
    const word = await vouched()
    asked.answers.set(token, activeWith())
    time.now += renewedAfterMs
    word.over()
    await settled()
    expect(word.over()).toBe('withdrawn')
  })

  test('ends with the token, at the end that was said last', async () => {
    const { vouched, admitted, asked, time } = verifierWith(activeWith({ exp: seconds + 3_600 }))
    const word = await vouched()
    expect((await admitted()).expiresAt).toBe(now + 3_630_000)
    asked.answers.set(token, activeWith({ exp: seconds + 20 }))
    time.now += renewedAfterMs
    word.over()
    await settled()
    expect((await admitted()).expiresAt).toBe(now + 50_000)
    time.now = now + 50_000 - 1
    expect(word.over()).toBe('unrenewed')
    time.now += 1
    expect(word.over()).toBe('withdrawn')
  })
})
