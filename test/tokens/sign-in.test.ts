import { createPublicKey } from 'node:crypto'
import { decodeJwt, decodeProtectedHeader, jwtVerify } from 'jose'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { Target } from '../attack/harness.ts'
import { call, initialize, message, type Request, tool } from '../attack/request.ts'
import { ask } from './control-client.ts'

const password = 'a long and quiet walk 7'
let target: Target
let people = 0

beforeAll(async () => {
  target = await Target.open({ authentication: { passwords: { memoryKib: 19_456, passes: 2 } } })
})
afterAll(async () => target.close())

/** As whoever can open the data folder. */
const local = (method: string, path: string, more: Parameters<typeof ask>[3] = {}) =>
  ask({ socketPath: target.server.control.socket ?? expect.unreachable('no socket') }, method, path, more)
/** As anybody. */
const remote = (method: string, path: string, more: Parameters<typeof ask>[3] = {}) =>
  ask({ url: target.server.control.url ?? expect.unreachable('no listener') }, method, path, more)
const bearer = (token: string) => ({ headers: { Authorization: `Bearer ${token}` } })
const withToken = (request: Request, token: string): Request => ({
  ...request,
  headers: { ...request.headers, Authorization: `Bearer ${token}` },
})
const list = (token: string) => target.send(withToken(call('tools/list'), token))

interface Person {
  readonly user: string
  readonly name: string
}
let person: Person

beforeEach(async () => {
  const name = `person-${++people}`
  const made = await local('POST', '/api/users', { body: { tenant: 'tenant-a', name, role: 'user', password } })
  expect(made.status, made.text).toBe(201)
  person = { user: made.body.id as string, name }
})

interface SignedIn {
  readonly accessToken: string
  readonly signIn: string
}

async function signIn(resource?: string): Promise<SignedIn> {
  const body = { tenant: 'tenant-a', name: person.name, password, ...(resource === undefined ? {} : { resource }) }
  const answer = await remote('POST', '/api/auth/login', { body })
  expect(answer.status, answer.text).toBe(200)
  return answer.body as SignedIn
}

/** A control-plane token, and one for the MCP endpoint of the same sign-in. */
const controlOf = new Map<string, string>()
async function signInForMcp(): Promise<SignedIn> {
  const { accessToken, signIn: id } = await signIn()
  controlOf.set(id, accessToken)
  const renewed = await remote('POST', '/api/auth/token', {
    body: { resource: target.server.url },
    ...bearer(accessToken),
  })
  return { accessToken: renewed.body.accessToken as string, signIn: id }
}

const refused = async (token: string) => {
  const answer = await list(token)
  expect(answer.status).toBe(401)
  expect(answer.text).toBe('{"error":"Invalid API key","code":"INVALID_API_KEY"}')
}

describe('a sign-in', () => {
  test('AS-14: gives a token that anybody can check against the key set', async () => {
    const { accessToken, signIn: id } = await signIn(target.server.url)
    const base = target.server.url.replace('/mcp', '')
    const keys = await ask({ url: base }, 'GET', '/.well-known/jwks.json')
    const [key] = keys.body.keys as Record<string, string>[]
    expect(Object.keys(key ?? {}).sort()).toEqual(['alg', 'crv', 'kid', 'kty', 'use', 'x', 'y'])
    const { payload } = await jwtVerify(accessToken, createPublicKey({ key: key as never, format: 'jwk' }), {
      issuer: base,
      audience: target.server.url,
      typ: 'at+jwt',
    })
    expect(decodeProtectedHeader(accessToken)).toEqual({ alg: 'ES256', typ: 'at+jwt', kid: key?.['kid'] })
    expect(payload).toMatchObject({ sub: person.user, sid: id, tenant: 'tenant-a', role: 'user', scope: 'read write' })
    expect((payload.exp ?? 0) - (payload.iat ?? 0)).toBe(900)
  })

  test('AD-01: its token opens the door it was asked for, and no other', async () => {
    const mcp = await signIn(target.server.url)
    const control = await signIn()
    expect((await list(mcp.accessToken)).status).toBe(200)
    expect((await remote('GET', '/api/auth/me', bearer(control.accessToken))).body).toMatchObject({ id: person.user })
    await refused(control.accessToken)
    const crossed = await remote('GET', '/api/auth/me', bearer(mcp.accessToken))
    expect(crossed.status).toBe(401)
    const key = await remote('GET', '/api/auth/me', bearer(target.key('A.admin').text))
    expect(key.status).toBe(401)
    expect(key.body).toMatchObject({ code: 'INVALID_API_KEY' })
  })

  test('AD-01: is a token, and nobody is given a cookie (O-119)', async () => {
    const body = JSON.stringify({ tenant: 'tenant-a', name: person.name, password })
    const place = new URL('/api/auth/login', target.server.control.url)
    const headers = { 'Content-Type': 'application/json' }
    const login = await fetch(place, { method: 'POST', headers, body })
    const { accessToken } = (await login.json()) as SignedIn
    const me = await fetch(new URL('/api/auth/me', place), bearer(accessToken))
    expect([login, me].map(({ status, headers: given }) => [status, given.getSetCookie()])).toEqual([
      [200, []],
      [200, []],
    ])
  })

  test('RS-08: its token does what the role grants, and no more', async () => {
    const { accessToken } = await signIn(target.server.url)
    expect((await target.send(withToken(tool('echo', { text: 'x' }), accessToken))).status).toBe(200)
    const admin = await target.send(withToken(tool('admin_status'), accessToken))
    expect(admin.code).toBe('UNKNOWN_TOOL')
  })

  test('RS-02: a token that was altered is refused', async () => {
    const { accessToken } = await signIn(target.server.url)
    const [header, , signature] = accessToken.split('.')
    const claims = { ...decodeJwt(accessToken), role: 'operator', scope: 'read write admin', tenant: 'tenant-b' }
    await refused(`${header}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.${signature}`)
  })
})

describe('O-113 RS-12: a token is refused at once', () => {
  const ends: readonly (readonly [string, (signedIn: SignedIn) => Promise<number>])[] = [
    ['its sign-in is revoked', async ({ signIn: id }) => (await local('DELETE', `/api/sign-ins/${id}`)).status],
    ['its user is disabled', () => change({ status: 'disabled' })],
    [
      'its user signs out',
      async ({ signIn: id }) => {
        // Only a token of the same sign-in ends it.
        const other = await signIn()
        expect((await remote('POST', '/api/auth/logout', bearer(other.accessToken))).status).toBe(204)
        expect((await local('GET', `/api/sign-ins?user=${person.user}`)).text).toContain(id)
        return (await remote('POST', '/api/auth/logout', bearer(controlOf.get(id) ?? ''))).status
      },
    ],
    [
      'its user gets another password',
      async () =>
        (await local('POST', `/api/users/${person.user}/password`, { body: { password: `${password} again` } })).status,
    ],
    [
      'the key that signed it is destroyed',
      async ({ accessToken }) =>
        (await local('DELETE', `/api/signing-keys/${decodeProtectedHeader(accessToken).kid}`)).status,
    ],
  ]

  async function change(body: object): Promise<number> {
    const shown = await local('GET', `/api/users/${person.user}`)
    const headers = { 'If-Match': shown.etag ?? '' }
    return (await local('PATCH', `/api/users/${person.user}`, { body, headers })).status
  }

  test.each(ends)('when %s, and what it opened ends', async (_what, end) => {
    const signedIn = await signInForMcp()
    const token = signedIn.accessToken
    const opened = await target.send(withToken(initialize(undefined), token))
    const session = opened.header('mcp-session-id') ?? expect.unreachable('no session')
    await target.send(withToken(message('notifications/initialized', undefined, { session }), token))
    const stream = await target.begin(withToken({ verb: 'GET', headers: { 'Mcp-Session-Id': session } }, token))
    expect((await stream.begun()).status).toBe(200)
    expect(await end(signedIn)).toBeLessThan(300)
    await target.settled(() => refused(token))
    expect((await stream.answer())?.complete).toBe(true)
  })

  test('and does less at once when its user may', async () => {
    const { accessToken } = await signIn(target.server.url)
    await change({ role: 'nobody' })
    await target.settled(async () => {
      const answer = await target.send(withToken(tool('echo', { text: 'x' }), accessToken))
      expect(answer.status === 403 || answer.message.error !== undefined).toBe(true)
    })
  })
})

describe('SE-03: a session', () => {
  test('O-070: goes on when its token is renewed, and with another sign-in of its user', async () => {
    const first = await signIn(target.server.url)
    const opened = await target.send(withToken(initialize(undefined), first.accessToken))
    const session = opened.header('mcp-session-id') ?? expect.unreachable('no session')
    const ping = (token: string) => target.send(withToken(message('ping', {}, { id: 1, session }), token))
    const control = await signIn()
    const renewed = await remote('POST', '/api/auth/token', {
      body: { resource: target.server.url },
      ...bearer(control.accessToken),
    })
    expect(renewed.status, renewed.text).toBe(200)
    expect((await ping(renewed.body.accessToken as string)).status).toBe(200)
    expect((await ping(target.key('A.read').text)).status).toBe(404)
  })
})

describe('AS-14: keys that sign', () => {
  test('a key that is retired takes what it signed with it, and the next sign-in is good', async () => {
    const { accessToken } = await signIn(target.server.url)
    const { kid } = decodeProtectedHeader(accessToken)
    const retired = await local('DELETE', `/api/signing-keys/${kid}`)
    expect(retired.body).toMatchObject({ id: kid, state: 'destroyed' })
    await refused(accessToken)
    expect((await list((await signIn(target.server.url)).accessToken)).status).toBe(200)
  })

  test('a key that is rotated goes on until the next one signs', async () => {
    const { accessToken } = await signIn(target.server.url)
    expect((await local('POST', '/api/signing-keys')).body).toMatchObject({ state: 'published' })
    expect((await list(accessToken)).status).toBe(200)
    const keys = await ask({ url: target.server.url.replace('/mcp', '') }, 'GET', '/.well-known/jwks.json')
    expect(keys.body.keys).toHaveLength(2)
    expect(keys.text).not.toContain('"d"')
  })
})
