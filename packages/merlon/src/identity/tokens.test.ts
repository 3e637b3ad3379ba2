import { createSecretKey, randomBytes } from 'node:crypto'
import { decodeJwt } from 'jose'
import { beforeEach, expect, test } from 'vitest'
import { scopeSet } from '../policy/scopes.ts'
import { openSealer } from '../sealing/seal.ts'
import { Doors } from './doors.ts'
import { ProofReplays } from './dpop.ts'
import { Recorder } from './recorded.ts'
import { SigningKeys } from './signing-keys.ts'
import { now, parse, SigningKeysInMemory, seconds, shownWith, userWith } from './token.fixture.ts'
import { TokenVerifier } from './token-verifier.ts'
import { Tokens } from './tokens.ts'
import type { Door, Verdict } from './verdict.ts'

const base = 'https://mcp.example'
let time = now
let standing: Verdict
beforeEach(() => {
  time = now
  standing = { ok: true, principal: userWith() }
})

async function opened({ listening = true } = {}) {
  const clock = () => time
  const keys = new SigningKeys({
    store: new SigningKeysInMemory(),
    sealer: openSealer(createSecretKey(randomBytes(32)), randomBytes),
    random: randomBytes,
    clock,
    recorder: new Recorder(async () => {}, clock),
    tokenMs: 900_000,
    rotationMs: 86_400_000,
    report: () => expect.unreachable(),
  })
  await keys.start()
  const doors = new Doors()
  if (listening) {
    doors.serveAt(base)
    doors.open('mcp', `${base}/mcp`)
    doors.open('control', `${base}:4001/api`)
  }
  const asked: string[] = []
  const signIns = {
    standing(id: string) {
      asked.push(id)
      return standing
    },
  }
  const tokens = new Tokens({ keys, signIns, doors, random: randomBytes, clock, lifetimeMs: 900_000 })
  const verifier = (door: Door) =>
    new TokenVerifier({
      door,
      origin: () => base,
      issuers: () => {
        const own = tokens.asIssuer()
        return own === undefined ? [] : [own]
      },
      leavesMalformed: true,
      parse,
      replays: new ProofReplays(),
      clock,
    })
  return { tokens, doors, keys, verifier, asked }
}

const issued = { signIn: 'sgn_1', door: 'mcp' } as const

test('a token says what RFC 9068 asks for, and ends in a quarter of an hour', async () => {
  const { tokens } = await opened()
  const { token, expiresAt, scopes } = await tokens.issue(issued)
  const { jti, ...claims } = decodeJwt(token)
  expect(jti).toMatch(/^[A-Za-z0-9_-]{22}$/)
  expect(claims).toEqual({
    iss: base,
    aud: `${base}/mcp`,
    sub: 'usr_ann',
    client_id: 'merlon',
    iat: seconds,
    exp: seconds + 900,
    sid: 'sgn_1',
    tenant: 'a',
    role: 'user',
    scope: 'read write',
  })
  expect([expiresAt, scopes]).toEqual([now + 900_000, ['read', 'write']])
})

test('a token ends with its sign-in, however often it is renewed', async () => {
  const { tokens } = await opened()
  standing = { ok: true, principal: userWith({ expiresAt: now + 60_500 }) }
  expect((await tokens.issue(issued)).expiresAt).toBe(now + 60_000)
  time = now + 50_000
  expect((await tokens.issue(issued)).expiresAt).toBe(now + 60_000)
})

test('a token may be given less than its sign-in, and never more', async () => {
  const { tokens, verifier } = await opened()
  const { token, scopes } = await tokens.issue({ ...issued, scopes: ['read', 'admin', 'files:write'] })
  expect(scopes).toEqual(['read', 'write'])
  expect((await tokens.issue({ ...issued, scopes: ['read', 'files:write'] })).scopes).toEqual(['read'])
  expect((await tokens.issue({ ...issued, scopes: [] })).scopes).toEqual([])
  const verdict = await verifier('mcp').verify(token, 'bearer', shownWith())
  expect(verdict).toMatchObject({ ok: true, principal: { effective: new Set(['read', 'write']) } })
})

test('no token is issued for a sign-in that does not stand, nor before the server listens', async () => {
  const { tokens } = await opened()
  standing = { ok: false, reason: 'revoked', credential: 'sgn_1' }
  await expect(tokens.issue(issued)).rejects.toMatchObject({ code: 'credential.invalid' })
  standing = { ok: true, principal: userWith() }
  const closed = await opened({ listening: false })
  expect(closed.tokens.asIssuer()).toBeUndefined()
  await expect(closed.tokens.issue(issued)).rejects.toThrow('not open')
})

test('AD-01: a token opens its own door alone', async () => {
  const { tokens, verifier } = await opened()
  const { token } = await tokens.issue({ ...issued, door: 'control' })
  expect(await verifier('control').verify(token, 'bearer', shownWith())).toMatchObject({ ok: true })
  expect(await verifier('mcp').verify(token, 'bearer', shownWith())).toMatchObject({ reason: 'token-audience' })
})

test('RS-12: its sign-in is asked about on every call, and what it says holds', async () => {
  const { tokens, verifier, asked } = await opened()
  const { token } = await tokens.issue(issued)
  const mcp = verifier('mcp')
  const first = await mcp.verify(token, 'bearer', shownWith())
  asked.length = 0
  expect(mcp.verify(token, 'bearer', shownWith())).toBe(first)
  expect(asked).toEqual(['sgn_1'])
  standing = { ok: true, principal: userWith({ granted: scopeSet(['read']), effective: scopeSet(['read']) }) }
  expect(mcp.verify(token, 'bearer', shownWith())).toMatchObject({ principal: { effective: new Set(['read']) } })
  standing = { ok: false, reason: 'owner-disabled', credential: 'sgn_1' }
  expect(mcp.verify(token, 'bearer', shownWith())).toBe(standing)
})

test('a token is not taken for another user or tenant than its sign-in has', async () => {
  const { tokens, verifier } = await opened()
  const { token } = await tokens.issue(issued)
  for (const other of [userWith({ id: 'usr_bob' }), userWith({ tenant: 'b' })]) {
    standing = { ok: true, principal: other }
    expect(await verifier('mcp').verify(token, 'bearer', shownWith())).toMatchObject({ reason: 'token-subject' })
  }
})

test('SE-03: what it opens is bound to who acts, so that it outlives the token and not the user', async () => {
  const { tokens, verifier } = await opened()
  const bindings = new Set<string>()
  for (const signIn of ['sgn_1', 'sgn_2']) {
    const { token } = await tokens.issue({ ...issued, signIn })
    const verdict = await verifier('mcp').verify(token, 'bearer', shownWith())
    if (typeof verdict !== 'string' && verdict.ok) bindings.add(verdict.principal.binding)
  }
  expect([...bindings]).toEqual(['a\nuser\nusr_ann\nsign-in'])
})

test('AS-14: what a key that is destroyed has signed is refused, also where it was remembered', async () => {
  const { tokens, verifier, keys } = await opened()
  const { token } = await tokens.issue(issued)
  const mcp = verifier('mcp')
  keys.onDestroyed(() => mcp.forget())
  expect(await mcp.verify(token, 'bearer', shownWith())).toMatchObject({ ok: true })
  const kid = (JSON.parse(keys.keySet) as { keys: { kid: string }[] }).keys[0]?.kid ?? ''
  const { localOperator } = await import('./actor.ts')
  await keys.retire(kid, localOperator)
  expect(await mcp.verify(token, 'bearer', shownWith())).toMatchObject({ reason: 'token-key' })
})

test('what is signed by us and is no token of a sign-in opens nothing', async () => {
  const { keys, verifier } = await opened()
  const claims = { iss: base, aud: `${base}/mcp`, sub: 'usr_ann', iat: seconds, exp: seconds + 60 }
  for (const more of [
    {},
    { sid: 'key_1', tenant: 'a', scope: 'read' },
    { sid: 'sgn_1', tenant: 'a' },
    { sid: ['sgn_1'], tenant: 'a', scope: 'read' },
  ]) {
    const token = keys.sign({ ...claims, ...more })
    expect(await verifier('mcp').verify(token, 'bearer', shownWith())).toMatchObject({ reason: 'token-claims' })
  }
})
