import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { checkProof, ProofReplays, type Proven } from './dpop.ts'
import { now, pairOf, parse, proofOf, resource, seconds, signed, thumbprintOf } from './token.fixture.ts'
import { thumbprintText } from './token-algorithms.ts'

const pair = pairOf('mine')
const other = pairOf('other')
const about: Proven = {
  token: 'the.access.token',
  boundTo: thumbprintOf(pair),
  verb: 'POST',
  url: resource,
  requestId: 'r1',
  subject: 's',
}

const check = (proof: string | string[] | undefined, more: Partial<Proven> = {}, at = now) =>
  checkProof(proof, { ...about, ...more }, { parse, replays: new ProofReplays(), now: at })
const good = proofOf(pair, about.token)
const { d } = pair.privateKey.export({ format: 'jwk' })
const bare = { kty: pair.jwk['kty'], crv: pair.jwk['crv'], x: pair.jwk['x'], y: pair.jwk['y'] }

describe('RS-13: a proof', () => {
  test('made with the bound key, for this token and this request, now, holds', () => {
    expect(check(good)).toBeUndefined()
    expect(check(proofOf(pair, about.token, { htu: `${resource}?a=1#b` }))).toBeUndefined()
    expect(check(proofOf(pair, about.token, { iat: seconds - 60 }))).toBeUndefined()
  })

  test.each([
    ['is missing', undefined, 'proof-missing'],
    ['is there twice', [good, good], 'proof-malformed'],
    ['is no token', 'a.b.c', 'proof-malformed'],
    ['is too long', proofOf(pair, about.token, { filler: 'x'.repeat(4_096) }), 'proof-malformed'],
    ['is of another type', proofOf(pair, about.token, {}, { typ: 'at+jwt' }), 'proof-malformed'],
    ['is unsigned', proofOf(pair, about.token, {}, { alg: 'none' }), 'proof-malformed'],
    ['is signed with a secret', proofOf(pair, about.token, {}, { alg: 'HS256' }), 'proof-malformed'],
    ['brings no key', proofOf(pair, about.token, {}, { jwk: undefined }), 'proof-key'],
    ['brings a private key', proofOf(pair, about.token, {}, { jwk: { ...bare, d } }), 'proof-key'],
    ['brings a secret', proofOf(pair, about.token, {}, { jwk: { kty: 'oct', k: 'AAAA' } }), 'proof-key'],
    ['names an algorithm of another kind of key', proofOf(pair, about.token, {}, { alg: 'RS256' }), 'proof-signature'],
    ['names a key elsewhere', proofOf(pair, about.token, {}, { jku: 'https://evil.example' }), 'proof-malformed'],
    ['is made with another key', proofOf(other, about.token), 'proof-key'],
    ['shows the bound key and is made with another', proofOf(other, about.token, {}, { jwk: bare }), 'proof-signature'],
    ['is for another method', proofOf(pair, about.token, { htm: 'GET' }), 'proof-request'],
    ['is for the method in small letters', proofOf(pair, about.token, { htm: 'post' }), 'proof-request'],
    ['is for another address', proofOf(pair, about.token, { htu: `${resource}2` }), 'proof-request'],
    ['is for another server', proofOf(pair, about.token, { htu: 'https://evil.example/mcp' }), 'proof-request'],
    ['names no address', proofOf(pair, about.token, { htu: undefined }), 'proof-request'],
    ['is too old', proofOf(pair, about.token, { iat: seconds - 61 }), 'proof-time'],
    ['is of later', proofOf(pair, about.token, { iat: seconds + 61 }), 'proof-time'],
    ['says no time', proofOf(pair, about.token, { iat: undefined }), 'proof-time'],
    ['is for another token', proofOf(pair, 'other.access.token'), 'proof-token'],
    ['is for no token', proofOf(pair, about.token, { ath: undefined }), 'proof-token'],
    ['has no id', proofOf(pair, about.token, { jti: undefined }), 'proof-malformed'],
    ['has an id without end', proofOf(pair, about.token, { jti: 'j'.repeat(257) }), 'proof-malformed'],
    [
      'says a claim twice',
      signed(pair, { alg: 'ES256', typ: 'dpop+jwt', jwk: bare }, '{"htm":"GET","htm":"POST"}'),
      'proof-malformed',
    ],
  ])('that %s does not hold', (_what, proof, problem) => {
    expect(check(proof)).toBe(problem)
  })

  test('is bound to a thumbprint as RFC 7638 makes it', () => {
    // The example of RFC 7638 §3.1.
    const n =
      '0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw'
    const text = thumbprintText({ kid: '2011-04-29', alg: 'RS256', n, e: 'AQAB', kty: 'RSA' })
    expect(createHash('sha256').update(text).digest('base64url')).toBe('NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs')
  })
})

describe('RS-13: a proof is shown once', () => {
  test('but the same request may ask about its own again', () => {
    const replays = new ProofReplays()
    expect(replays.take('p', 'r1', now, 's')).toBe(true)
    expect(replays.take('p', 'r1', now, 's')).toBe(true)
    expect(replays.take('p', 'r2', now, 's')).toBe(false)
  })

  test('for as long as it could be good, and not much longer', () => {
    const replays = new ProofReplays()
    replays.take('first', 'r0', now, 's')
    expect(replays.take('p', 'r1', now + 119_999, 's')).toBe(true)
    expect(replays.take('p', 'r2', now + 239_999, 's')).toBe(false)
    expect(replays.take('q', 'r3', now + 400_000, 's')).toBe(true)
    expect(replays.take('p', 'r4', now + 600_000, 's')).toBe(true)
  })

  test('also where the clock was set back', () => {
    const replays = new ProofReplays()
    replays.take('p', 'r1', now, 's')
    expect(replays.take('p', 'r2', now - 50_000, 's')).toBe(false)
    expect(replays.take('p', 'r3', now + 60_000, 's')).toBe(false)
  })

  test('where there is no room to remember, nobody is let in', () => {
    const replays = new ProofReplays(4)
    replays.take('a', 'r1', now, 's')
    replays.take('b', 'r2', now, 't')
    expect(() => replays.take('c', 'r3', now, 'u')).toThrow('capacity.exceeded')
    expect(replays.take('c', 'r4', now + 120_000, 's')).toBe(true)
    expect(replays.take('a', 'r5', now + 120_000, 's')).toBe(false)
  })

  test('RL-03: are not filled by one subject, whatever keys it has', () => {
    const replays = new ProofReplays(32)
    for (const proof of ['a', 'b']) expect(replays.take(proof, `r ${proof}`, now, 's')).toBe(true)
    expect(() => replays.take('c', 'r c', now, 's')).toThrow('capacity.exceeded')
    expect(replays.take('a', 'r again', now, 's')).toBe(false)
    expect(replays.take('c', 'r c', now, 't')).toBe(true)
    expect(replays.take('d', 'r d', now + 120_000, 's')).toBe(true)
  })
})
