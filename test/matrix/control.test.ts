import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { operations, operationsByName } from '../../packages/merlon/src/admin/operations.ts'
import { stepAt, totpCode } from '../../packages/merlon/src/identity/totp.ts'
import type { Answer, Asking, Who, World } from './world.ts'
import { foreignIssuer, openWorld, recordsOf } from './world.ts'

let world: World
beforeAll(async () => {
  world = await openWorld({ limits: { connectionsPerAddressMax: 1_000 } })
})
afterAll(() => world?.close())

interface Entry {
  readonly id: string
  readonly version: number
  readonly key: string
}

let count = 0
const unique = () => `thing ${++count}`
const asked = (name: string, operation: string, asking: Asking = {}): Promise<Answer> =>
  world.ask(world.who(name), operationsByName.get(operation)!, asking)
const made = async (operation: string, input: object): Promise<Entry> =>
  (await world.local.call(operation, input)).body as Entry
const problem = (answer: Answer) => JSON.parse(answer.text) as Record<string, unknown>
const keyOf = (name: string, more: object = {}) =>
  made('api-keys.create', { body: { name: unique(), scopes: ['read'], owner: world.who(name).user, ...more } })

let subjects = 0
const block = (tenant?: string) =>
  made('subjects.block', { body: { issuer: foreignIssuer, subject: `subject-${++subjects}`, tenant } })

describe('what belongs to another tenant', () => {
  const make: Readonly<Record<string, () => Promise<{ id: string }>>> = {
    users: () => made('users.create', { body: { tenant: 'a', name: unique() } }),
    tenants: async () => ({ id: 'a' }),
    'api-keys': () => keyOf('a.write'),
    agents: () =>
      made('agents.create', { body: { name: unique(), type: 'assistant', owner: world.who('a.write').user } }),
    'sign-ins': () => world.signIn(world.who('a.read').email ?? ''),
    subjects: () => block('a'),
    sessions: async () => ({ id: await world.openSession('a') }),
  }
  /** What is shown in a list alone. */
  const listed: ReadonlySet<string> = new Set(['sign-ins', 'subjects'])
  const bodies: Readonly<Record<string, object>> = {
    'users.update': { name: 'mine' },
    'users.set-password': { password: 'quite another sentence' },
    'tenants.update': { name: 'mine' },
    'api-keys.update': { isActive: false },
    'agents.update': { name: 'mine' },
  }
  const named = operations.filter(({ path, reach }) => path.includes('{id}') && reach === 'tenant')

  test('AU-05: every operation that names something is here', () => {
    expect(named.map(({ name }) => name)).toEqual([
      'users.remove-second-factor',
      'users.get',
      'users.update',
      'users.set-password',
      'users.remove',
      'tenants.get',
      'api-keys.get',
      'api-keys.update',
      'api-keys.regenerate',
      'api-keys.revoke',
      'agents.get',
      'agents.update',
      'agents.remove',
      'sign-ins.revoke',
      'sign-ins.revoke-all',
      'subjects.unblock',
      'sessions.get',
      'sessions.end',
    ])
  })

  test.each(named.map(({ name, versioned }) => [name, versioned] as const))(
    'AU-05: %s answers as for what is not there, byte for byte, and does nothing',
    async (name, versioned) => {
      const noun = name === 'sign-ins.revoke-all' ? 'users' : name.slice(0, name.indexOf('.'))
      const { id } = await make[noun]!()
      const shown = async () =>
        (
          await world.local.call(
            listed.has(noun) ? `${noun}.list` : `${noun}.get`,
            listed.has(noun) ? {} : { params: { id } },
          )
        ).body
      const before = await shown()
      const ask = (target: string) =>
        asked('b.admin', name, {
          params: { id: target },
          ...(bodies[name] === undefined ? {} : { body: bodies[name] }),
          ...(versioned ? { headers: { 'If-Match': '"1"' } } : {}),
        })
      const foreign = await ask(id)
      const missing = await ask(`${id.slice(0, 4)}${'0'.repeat(Math.max(id.length - 4, 1))}`)
      expect(foreign.status).toBe(404)
      expect([foreign.status, foreign.text]).toEqual([missing.status, missing.text])
      const { 'x-request-id': one, date: _, ratelimit: _left, ...headers } = foreign.headers
      const { 'x-request-id': two, date: __, ratelimit: _less, ...others } = missing.headers
      expect(headers).toEqual(others)
      expect(one).not.toBe(two)
      expect(await shown()).toEqual(before)
    },
  )

  test.each([
    'users.list',
    'api-keys.list',
    'agents.list',
    'sign-ins.list',
    'subjects.list',
    'sessions.list',
    'audit.query',
  ])('AU-04: %s is of the own tenant, whatever tenant is asked for', async (name) => {
    await world.openSession('a')
    for (const tenant of ['a', 'nowhere', '%', '*']) {
      const answer = await asked('b.admin', name, { query: { tenant } })
      expect([answer.status, answer.text]).toEqual([200, '{"items":[]}'])
    }
    const own = JSON.parse((await asked('b.admin', name, { query: { limit: 200 } })).text) as {
      items: { tenant?: string }[]
    }
    expect([...new Set(own.items.map(({ tenant }) => tenant))].filter((tenant) => tenant !== 'b')).toEqual([])
    const all = JSON.parse((await asked('operator', name, { query: { tenant: 'a', limit: 200 } })).text) as {
      items: { tenant?: string }[]
    }
    expect(new Set(all.items.map(({ tenant }) => tenant))).toEqual(new Set(['a']))
  })

  test('AU-05: an administrator blocks nobody in another tenant, and lifts and sees no block of every tenant', async () => {
    const body = { issuer: foreignIssuer, subject: 'eve' }
    const [foreign, missing] = [
      await asked('b.admin', 'subjects.block', { body: { ...body, tenant: 'a' } }),
      await asked('b.admin', 'subjects.block', { body: { ...body, tenant: 'nowhere' } }),
    ]
    expect(foreign.status).toBe(404)
    expect([foreign.status, foreign.text]).toEqual([missing.status, missing.text])
    const everywhere = await block()
    const lifted = await asked('b.admin', 'subjects.unblock', { params: { id: everywhere.id } })
    expect([lifted.status, lifted.text]).toEqual([404, foreign.text])
    expect((await asked('b.admin', 'subjects.list')).text).toBe('{"items":[]}')
    expect((await asked('operator', 'subjects.unblock', { params: { id: everywhere.id } })).status).toBe(204)
    const own = JSON.parse((await asked('b.admin', 'subjects.block', { body })).text) as { id: string; tenant: string }
    expect(own.tenant).toBe('b')
    expect((await asked('b.admin', 'subjects.unblock', { params: { id: own.id } })).status).toBe(204)
  })

  test('a block that no token could meet is refused', async () => {
    const bodies = [
      { issuer: 'https://other.example', subject: 'eve' },
      { issuer: foreignIssuer, subject: 'e v e' },
    ]
    const [other, spaced] = await Promise.all(bodies.map((body) => asked('operator', 'subjects.block', { body })))
    expect([other?.status, problem(other!)['errors']]).toEqual([
      400,
      [{ path: 'body.issuer', says: 'the configuration names no such issuer' }],
    ])
    expect([spaced?.status, problem(spaced!)['errors']]).toEqual([
      400,
      [{ path: 'body.subject', says: 'a subject is 1 to 255 visible ASCII characters' }],
    ])
  })

  test('AU-04: a filter of the log is text, not a pattern', async () => {
    for (const value of ['%', 'users_list', '.*', "' OR 1=1 --", '{"$gt":""}']) {
      const answer = await asked('a.admin', 'audit.query', { query: { method: value } })
      expect([answer.status, answer.text]).toEqual([200, '{"items":[]}'])
    }
    const removed = await world.send(world.who('a.admin'), 'DELETE', '/api/audit')
    expect([removed.status, removed.headers['allow']]).toEqual([405, 'GET, HEAD, OPTIONS'])
  })
})

describe('nobody grants more than they hold', () => {
  test('AK-09: a writer makes no key with more, and nothing is made', async () => {
    const before = (await asked('a.write', 'api-keys.list')).text
    const answer = await asked('a.write', 'api-keys.create', { body: { name: unique(), scopes: ['admin'] } })
    expect([answer.status, problem(answer)['code']]).toEqual([403, 'FORBIDDEN'])
    expect((await asked('a.write', 'api-keys.list')).text).toBe(before)
  })

  test('AU-11: an administrator of a tenant makes nobody an operator, itself included', async () => {
    const { user = '' } = world.who('a.admin')
    const { version } = await made('users.get', { params: { id: user } })
    const own = await asked('a.admin', 'users.update', {
      params: { id: user },
      body: { role: 'operator' },
      headers: { 'If-Match': `"${version}"` },
    })
    expect([own.status, problem(own)['code']]).toEqual([403, 'FORBIDDEN'])
    const other = await asked('a.admin', 'users.create', { body: { name: unique(), role: 'operator' } })
    expect(other.status).toBe(403)
    expect((await made('users.get', { params: { id: user } })).version).toBe(version)
  })

  test('AU-11: what an administrator has of a user opens nothing once that user is an operator', async () => {
    const name = unique()
    const password = 'known to the administrator'
    const { id } = JSON.parse(
      (await asked('a.admin', 'users.create', { body: { name, role: 'user', password } })).text,
    ) as Entry
    const body = { name, owner: id, scopes: ['read', 'admin'], use: 'control' }
    const { key } = JSON.parse((await asked('a.admin', 'api-keys.create', { body })).text) as Entry
    const planted = { ...world.who('a.admin'), credential: key }
    const reached = async () => (await world.send(planted, 'GET', '/api/tenants')).status
    const login = async () => (await asked('nobody', 'auth.login', { body: { tenant: 'a', name, password } })).status
    expect([await reached(), await login()]).toEqual([403, 200])
    await made('users.update', { params: { id }, body: { role: 'operator' }, version: 1 })
    await vi.waitFor(async () => expect(await reached()).toBe(401), 5_000)
    expect(await login()).toBe(401)
    await made('users.remove', { params: { id } })
  })

  test('AU-11: a tenant keeps its last administrator', async () => {
    const { user = '' } = world.who('b.admin')
    const { version } = await made('users.get', { params: { id: user } })
    for (const body of [{ role: 'user' }, { status: 'disabled' }]) {
      const answer = await asked('b.admin', 'users.update', {
        params: { id: user },
        body,
        headers: { 'If-Match': `"${version}"` },
      })
      expect([answer.status, problem(answer)['detail']]).toEqual([409, 'The tenant keeps an administrator.'])
    }
    expect((await asked('b.admin', 'users.remove', { params: { id: user } })).status).toBe(409)
    expect((await asked('b.admin', 'users.get', { params: { id: user } })).status).toBe(200)
  })

  test.each([
    { role: 'admin' },
    { tenant: 'b' },
    { tenantId: 'b' },
    { id: 'usr_x' },
    { scopes: ['admin'] },
    { hasPassword: true },
    { version: 9 },
  ])('AU-10: a key is changed in nothing but its own fields: %j', async (field) => {
    const key = await keyOf('a.write')
    const change = (body: object) =>
      asked('a.write', 'api-keys.update', { params: { id: key.id }, body, headers: { 'If-Match': `"${key.version}"` } })
    const answer = await change({ name: 'new name', ...field })
    expect(answer.status).toBe('scopes' in field ? 403 : 400)
    expect((await made('api-keys.get', { params: { id: key.id } })).version).toBe(key.version)
    expect((await change({ name: unique() })).status).toBe(200)
  })

  test.each([
    { tenant: 'b' },
    { createdAt: '2020-01-01T00:00:00Z' },
    { password: 'a new long sentence' },
    { __proto__x: 1 },
  ])('AU-10: a user is changed in nothing but its own fields: %j', async (field) => {
    const user = await made('users.create', { body: { tenant: 'a', name: unique() } })
    const answer = await asked('a.admin', 'users.update', {
      params: { id: user.id },
      body: { name: unique(), ...field },
      headers: { 'If-Match': '"1"' },
    })
    expect([answer.status, problem(answer)['code']]).toEqual([400, 'INVALID_FIELDS'])
    expect((await made('users.get', { params: { id: user.id } })).version).toBe(1)
  })

  test('AK-03: a key is shown without its secret, but when it is made or renewed', async () => {
    const key = await keyOf('a.write')
    const secret = key.key.slice(17)
    const renewed = await asked('a.write', 'api-keys.regenerate', { params: { id: key.id }, body: { grace: '0' } })
    const fresh = (JSON.parse(renewed.text) as Entry).key
    expect(fresh).not.toBe(key.key)
    for (const text of [
      (await asked('a.admin', 'api-keys.list', { query: { limit: 200 } })).text,
      (await asked('a.admin', 'api-keys.get', { params: { id: key.id } })).text,
      JSON.stringify(world.records()),
    ]) {
      expect(text).not.toContain(secret)
      expect(text).not.toContain(fresh.slice(17))
      expect(text).not.toMatch(/digest|pepper/)
    }
    expect(JSON.parse((await asked('a.write', 'api-keys.validate', { body: { key: fresh } })).text)).toMatchObject({
      valid: true,
      apiKey: { id: key.id },
    })
    expect((await asked('b.admin', 'api-keys.validate', { body: { key: fresh } })).text).toBe('{"valid":false}')
  })
})

describe('two who change one thing', () => {
  test('CR-05: who rotates the keys of a tenant that is not there is told, and not that there was nothing to replace', async () => {
    const rotate = (tenant: string) => world.local.call('encryption-keys.rotate', { body: { tenant } })
    await expect(rotate('nowhere')).rejects.toThrow('There is no such entry.')
    expect((await rotate('a')).status).toBe(200)
  })

  test('AD-12: a change that names no version, or another than there is, is refused and does nothing', async () => {
    const { id } = await made('users.create', { body: { tenant: 'a', name: unique() } })
    const change = (headers: Record<string, string>) =>
      asked('a.admin', 'users.update', { params: { id }, body: { name: unique() }, headers })
    expect((await change({})).status).toBe(428)
    const { etag = '' } = (await asked('a.admin', 'users.get', { params: { id } })).headers
    expect(etag).toBe('"1"')
    const first = await change({ 'If-Match': String(etag) })
    expect([first.status, first.headers['etag']]).toEqual([200, '"2"'])
    const second = await change({ 'If-Match': String(etag) })
    expect([second.status, problem(second)['code']]).toEqual([412, 'PRECONDITION_FAILED'])
    for (const wrong of ['*', 'W/"2"', '"2", "3"', '2', '""', '"-1"'])
      expect((await change({ 'If-Match': wrong })).status).toBe(400)
    expect((await made('users.get', { params: { id } })).version).toBe(2)
  })

  test('AD-12: what is asked for twice under one name is made once, and answered the same, secret and all', async () => {
    const name = unique()
    const create = (who: string, attempt: string, body: object = { name, scopes: ['read'] }) =>
      asked(who, 'api-keys.create', { body, headers: { 'Idempotency-Key': attempt } })
    const [first, second] = await Promise.all([create('a.write', 'once'), create('a.write', 'once')])
    expect([first.status, second.text]).toEqual([201, first.text])
    expect((await create('a.write', 'once')).text).toBe(first.text)
    const other = await create('a.write', 'once', { name: unique(), scopes: ['read'] })
    expect([other.status, problem(other)['code']]).toEqual([422, 'IDEMPOTENCY_KEY_REUSED'])
    expect((await create('a.write', 'again')).status).toBe(409)
    const elsewhere = await create('b.write', 'once')
    expect(elsewhere.status).toBe(201)
    expect(elsewhere.text).not.toContain((JSON.parse(first.text) as Entry).id)
    expect((await create('a.write', 'with space')).status).toBe(400)
    expect((await create('a.write', 'x'.repeat(129))).status).toBe(400)
  })
})

describe('lists', () => {
  test('AU-06: pages neither skip nor repeat, and a cursor is good for its caller, its list and its filters alone', async () => {
    for (let each = 0; each < 5; each++) await keyOf('a.read')
    const { user: owner = '' } = world.who('a.read')
    const pages: string[] = []
    const cursors: string[] = []
    for (let cursor: string | undefined; ; ) {
      const answer = await asked('a.admin', 'api-keys.list', { query: { owner, limit: 2, ...(cursor && { cursor }) } })
      const { items, next } = JSON.parse(answer.text) as { items: Entry[]; next?: string }
      pages.push(...items.map(({ id }) => id))
      if (next === undefined) break
      expect(next).not.toContain(items.at(-1)?.id)
      cursors.push(next)
      cursor = next
    }
    expect(pages.length).toBeGreaterThanOrEqual(6)
    expect(new Set(pages).size).toBe(pages.length)
    const cursor = cursors[0] ?? ''
    const refused: (readonly [who: string, operation: string, query: Record<string, string>])[] = [
      ['b.admin', 'api-keys.list', { owner, cursor }],
      ['operator', 'api-keys.list', { owner, cursor }],
      ['a.admin', 'api-keys.list', { cursor }],
      ['a.admin', 'users.list', { cursor }],
      ['a.admin', 'audit.query', { cursor }],
      ['a.admin', 'api-keys.list', { owner, cursor: `${cursor}A` }],
      ['a.admin', 'api-keys.list', { owner, cursor: 'constructor' }],
    ]
    for (const [who, operation, query] of refused) {
      const answer = await asked(who, operation, { query })
      expect([answer.status, problem(answer)['code']]).toEqual([400, 'INVALID_FIELDS'])
    }
  })
})

describe('a request', () => {
  test('B5: everything that is wrong with it is told at once, and no value of it', async () => {
    const answer = await asked('a.admin', 'users.create', {
      query: { tenant: 'b' },
      body: { name: '', role: 7, password: ['hunter2hunter2'], colour: 'red' },
    })
    expect(answer.status).toBe(400)
    const { errors } = problem(answer) as { errors: { path: string }[] }
    expect(errors.map(({ path }) => path).sort()).toEqual(['body', 'body.name', 'body.password', 'body.role', 'query'])
    expect(answer.text).not.toContain('hunter2')
  })

  test.each<[string, number, Asking & { method?: string; path?: string }]>([
    ['a path that is not served', 404, { path: '/api/nothing' }],
    ['an id that would need escaping', 404, { path: '/api/users/a%2fb' }],
    ['a path with an empty part', 404, { path: '/api//users' }],
    ['a path with dots', 404, { path: '/api/../api/users' }],
    ['another method', 405, { method: 'PUT' }],
    ['TRACE', 405, { method: 'TRACE' }],
    ['a method that has no sense here', 405, { method: 'PROPFIND' }],
    ['a foreign Host', 403, { headers: { Host: 'evil.example' } }],
    ['a foreign page', 403, { headers: { Origin: 'https://evil.example' } }],
    ['a page without an origin', 403, { headers: { Origin: 'null' } }],
    [
      'a change asked for by another page of this machine',
      403,
      { method: 'POST', headers: { 'Sec-Fetch-Site': 'same-site' }, body: {} },
    ],
    ['a body that is not JSON', 415, { method: 'POST', headers: { 'Content-Type': 'text/plain' }, body: {} }],
    ['a form', 415, { method: 'POST', headers: { 'Content-Type': 'application/x-www-form-urlencoded' }, body: {} }],
    ['an encoding', 415, { method: 'POST', headers: { 'Content-Encoding': 'gzip' }, body: {} }],
    ['a body that says a key twice', 400, { method: 'POST', raw: '{"name":"x","name":"y"}' }],
    ['a body that is too deep', 400, { method: 'POST', raw: `{"name":${'['.repeat(20)}${']'.repeat(20)}}` }],
    ['a body that is no JSON', 400, { method: 'POST', raw: '{"name":' }],
    [
      'a body that reaches for the prototype',
      400,
      { method: 'POST', raw: '{"name":"x","__proto__":{"role":"admin"}}' },
    ],
    ['a body where none is taken', 400, { method: 'GET', body: { name: 'x' } }],
    ['a body that is too large', 413, { method: 'POST', body: { name: 'x'.repeat(70_000) } }],
    ['a query field twice', 400, { path: '/api/users?limit=1&limit=2' }],
    ['a query field that is unknown', 400, { path: '/api/users?colour=red' }],
    ['a name with a zero byte', 400, { path: '/api/users?name=x%00' }],
    ['a tenant with a zero byte', 400, { path: '/api/users?tenant=a%00' }],
    ['an owner with a zero byte', 400, { path: '/api/agents?owner=usr_%00' }],
    ['a subject with a zero byte', 400, { path: '/api/blocked-subjects?subject=x%00' }],
    ['an issuer with a zero byte', 400, { path: '/api/blocked-subjects?issuer=https://x%00' }],
    ['a body with a zero byte', 400, { method: 'POST', raw: '{"name":"x","tenant":"a\\u0000"}' }],
  ])('AD-10: %s is refused as a problem that tells nothing of what is inside: %i', async (_, status, asking) => {
    const { method = 'GET', path = '/api/users' } = asking
    const answer = await world.send(world.who('a.admin'), method, path, asking)
    expect(answer.status).toBe(status)
    expect(answer.headers['content-type']).toBe('application/problem+json; charset=utf-8')
    expect(answer.headers['cache-control']).toBe('no-store')
    expect(answer.headers['x-content-type-options']).toBe('nosniff')
    expect(answer.headers['content-security-policy']).toContain("default-src 'none'")
    expect(answer.headers['access-control-allow-origin']).toBeUndefined()
    expect(answer.headers['set-cookie']).toBeUndefined()
    expect(answer.headers['server']).toBeUndefined()
    expect(
      Object.keys(problem(answer)).filter(
        (name) => !['type', 'title', 'status', 'code', 'detail', 'errors'].includes(name),
      ),
    ).toEqual([])
    expect(answer.text).not.toMatch(/at .*\.ts|node:|select |stack/i)
    if (status === 405) expect(answer.headers['allow']).toBe('GET, HEAD, POST, OPTIONS')
  })

  test('AD-10: a page of the control plane itself may call, and is told nothing of other origins', async () => {
    const origin = world.server.control.url ?? ''
    const own = await asked('a.admin', 'users.list', { headers: { Origin: origin, 'Sec-Fetch-Site': 'same-origin' } })
    expect([own.status, own.headers['access-control-allow-origin']]).toEqual([200, origin])
    const allowed = await world.send(world.who('nobody'), 'OPTIONS', '/api/users')
    expect([allowed.status, allowed.headers['allow'], allowed.text]).toEqual([204, 'GET, HEAD, POST, OPTIONS', ''])
    expect(allowed.headers['access-control-allow-origin']).toBeUndefined()
    const head = await world.send(world.who('a.admin'), 'HEAD', '/api/users')
    expect([head.status, head.text]).toEqual([200, ''])
  })

  test('AD-10: without a credential there is a sign of life, and nothing else', async () => {
    const nobody = world.who('nobody')
    expect((await world.send(nobody, 'GET', '/health')).text).toBe('{"status":"ok"}')
    for (const path of ['/metrics', '/api/health', '/api/docs', '/api/openapi.json', '/api/users', '/api/audit'])
      expect((await world.send(nobody, 'GET', path)).status, path).toBe(401)
    const page = await world.send(world.who('a.read'), 'GET', '/api/docs')
    expect(page.text).not.toMatch(/<script|src=|onclick|javascript:/i)
    expect(page.headers['content-security-policy']).toMatch(/style-src 'sha256-[A-Za-z0-9+/=]{44}'/)
  })
})

describe('credentials', () => {
  test('AD-01: what opens MCP opens nothing here, and what opens this opens no MCP', async () => {
    const mcp = async (credential: string | undefined) => {
      const answer = await fetch(world.server.url, {
        method: 'POST',
        headers: {
          Authorization: `Bearer ${credential}`,
          'Content-Type': 'application/json',
          Accept: 'application/json, text/event-stream',
        },
        body: '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"c","version":"1"}}}',
      })
      await answer.body?.cancel()
      return answer.status
    }
    const mcpKey = await keyOf('a.admin', { use: 'mcp', scopes: ['read', 'admin'] })
    const { user } = world.who('a.admin')
    const login = await asked('nobody', 'auth.login', {
      body: { email: world.who('a.admin').email, password: 'a long enough sentence', resource: world.server.url },
    })
    const mcpToken = (JSON.parse(login.text) as { accessToken: string }).accessToken
    expect([await mcp(mcpKey.key), await mcp(mcpToken)]).toEqual([200, 200])
    expect([await mcp(world.who('a.admin').credential), await mcp(world.who('a.admin by token').credential)]).toEqual([
      401, 401,
    ])
    const bodies = new Set<string>()
    const dead = world.everyone.filter(({ level, kind }) => level === 'dead' && kind !== 'none')
    for (const credential of [mcpKey.key, mcpToken, ...dead.map((who) => who.credential)]) {
      const answer = await world.send({ ...world.who('nobody'), credential }, 'GET', '/api/users')
      expect(answer.status).toBe(401)
      bodies.add(answer.text)
    }
    expect([...bodies]).toEqual([
      '{"type":"urn:merlon:problem:credential.invalid","title":"Invalid API key","status":401,"code":"INVALID_API_KEY"}',
    ])
    expect(user).toBeDefined()
    const elsewhere = await asked('nobody', 'auth.login', {
      body: {
        email: world.who('a.admin').email,
        password: 'a long enough sentence',
        resource: 'https://evil.example/api',
      },
    })
    expect(elsewhere.status).toBe(400)
  })

  test('AD-05: what is no text is no e-mail; a wrong password and a missing account are one answer', async () => {
    const email = world.who('b.read').email ?? ''
    const login = (body: unknown) => asked('nobody', 'auth.login', { body })
    for (const typed of [[email], { $gt: '' }, 7, null, true]) {
      const answer = await login({ email: typed, password: 'a long enough sentence' })
      expect([answer.status, problem(answer)['code']]).toEqual([400, 'INVALID_FIELDS'])
    }
    expect((await login({ email, password: { $ne: '' } })).status).toBe(400)
    const wrong = await login({ email, password: 'wrong wrong wrong' })
    const missing = await login({ email: 'nobody@example.com', password: 'wrong wrong wrong' })
    expect([wrong.status, wrong.text]).toEqual([missing.status, missing.text])
    expect(wrong.status).toBe(401)
    const large = await login({ email, password: 'x'.repeat(5_000) })
    expect(large.status).toBe(413)
  })

  test('AD-04: a password that is changed ends the other sign-ins, and so does signing out', async () => {
    const user = await made('users.create', {
      body: { tenant: 'a', name: unique(), email: 'changing@example.com', password: 'a long enough sentence' },
    })
    const [first, second] = [await world.signIn('changing@example.com'), await world.signIn('changing@example.com')]
    const as = (credential: string): Who => ({ ...world.who('a.write'), user: user.id, credential })
    const me = async (credential: string) => (await world.send(as(credential), 'GET', '/api/auth/me')).status
    expect([await me(first.token), await me(second.token)]).toEqual([200, 200])
    const changed = await world.send(as(first.token), 'POST', '/api/auth/password', {
      body: { current: 'a long enough sentence', next: 'a sentence quite different' },
    })
    expect(changed.status).toBe(204)
    // A good sign-in may be remembered for as long as a poll of the store vouches for it.
    await vi.waitFor(async () => expect(await me(second.token)).toBe(401), { timeout: 5_000 })
    expect(await me(first.token)).toBe(200)
    expect((await world.send(as(first.token), 'POST', '/api/auth/logout')).status).toBe(204)
    await vi.waitFor(async () => expect(await me(first.token)).toBe(401), { timeout: 5_000 })
  })
})

describe('the socket of the data folder', () => {
  test.each<[string, number, Record<string, string>]>([
    ['a page', 403, { Origin: 'http://localhost' }],
    ['another host', 403, { Host: 'evil.example' }],
    ['a credential', 400, { Authorization: 'Bearer x' }],
    ['an API key', 400, { 'X-API-Key': 'x' }],
  ])('AD-01: %s is refused there: %i', async (_, status, headers) => {
    const answer = await asked('local operator', 'users.list', { headers })
    expect(answer.status).toBe(status)
  })

  test('AL-01: what the local operator does is recorded as such', async () => {
    const answer = await asked('local operator', 'users.list')
    const [record] = await recordsOf(world, [answer])
    expect(record).toMatchObject({
      principal: 'local-operator',
      clientId: 'local-operator',
      ip: 'local',
      success: true,
    })
    expect(record).not.toHaveProperty('tenant')
  })
})

describe('a second factor', () => {
  const password = 'a long enough sentence'

  /** An operator with a second factor, in a sign-in that was confirmed just now. */
  async function enrolled() {
    const name = unique()
    const email = `${name.replace(' ', '-')}@example.com`
    const { id } = await made('users.create', { body: { tenant: 'a', name, role: 'operator', email, password } })
    const who: Who = { ...world.who('operator'), user: id, email, credential: (await world.signIn(email)).token }
    const ask = (operation: string, asking: Asking = {}) => world.ask(who, operationsByName.get(operation)!, asking)
    const begun = JSON.parse((await ask('second-factor.begin', { body: { password } })).text) as { secret: string }
    const secret = bytesOf(begun.secret)
    const code = (steps = 0) => totpCode(secret, stepAt(world.clock.now) + steps)
    const confirmed = await ask('second-factor.confirm', { body: { code: code() } })
    expect(confirmed.status, confirmed.text).toBe(200)
    const { recoveryCodes } = JSON.parse(confirmed.text) as { recoveryCodes: readonly string[] }
    return { id, name, email, who, ask, code, secret: begun.secret, recoveryCodes }
  }
  const bytesOf = (written: string) => {
    const bits = [...written].map((each) =>
      'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(each).toString(2).padStart(5, '0'),
    )
    return Buffer.from((bits.join('').match(/.{8}/g) ?? []).map((each) => Number.parseInt(each, 2)))
  }
  const login = async (body: object) => {
    const answer = await asked('local operator', 'auth.login', { body })
    return [answer.status, problem(answer)['code']]
  }

  test('AD-06: is asked for once the password was right, and each code opens one sign-in', async () => {
    const { email, code, recoveryCodes } = await enrolled()
    expect(await login({ email, password })).toEqual([401, 'SECOND_FACTOR_REQUIRED'])
    expect(await login({ email, password: 'another sentence' })).toEqual([401, 'LOGIN_REFUSED'])
    expect(await login({ email, password: 'another sentence', code: code(1) })).toEqual([401, 'LOGIN_REFUSED'])
    // The code that turned it on is used.
    expect(await login({ email, password, code: code() })).toEqual([401, 'LOGIN_REFUSED'])
    expect(await login({ email, password, code: code(1) })).toEqual([200, undefined])
    expect(await login({ email, password, code: code(1) })).toEqual([401, 'LOGIN_REFUSED'])
    expect(await login({ email, password, code: recoveryCodes[0] })).toEqual([200, undefined])
    expect(await login({ email, password, code: recoveryCodes[0] })).toEqual([401, 'LOGIN_REFUSED'])
    expect(await login({ email: world.who('a.read').email, password, code: '000000' })).toEqual([200, undefined])
  })

  const bodies: Readonly<Record<string, object>> = {
    'users.create': { name: 'mallory', role: 'operator' },
    'users.update': { role: 'operator' },
    'users.set-password': { password: 'quite another sentence' },
    'api-keys.create': { name: 'mallory', scopes: ['read'] },
    'api-keys.update': { scopes: ['read'] },
  }
  const asking = operations.filter(({ confirmed }) => confirmed !== undefined)

  test('AD-06: what gives rights, changes keys or takes them out is asked for with it again after ten minutes', async () => {
    expect(asking.map(({ name }) => name)).toEqual([
      'users.remove-second-factor',
      'users.create',
      'users.update',
      'users.set-password',
      'api-keys.create',
      'api-keys.update',
      'api-keys.regenerate',
      'audit.export',
      'audit.key',
      'signing-keys.rotate',
      'signing-keys.retire',
      'encryption-keys.rotate',
      'encryption-keys.retire',
      'encryption-keys.destroy',
      'encryption-keys.rewrap',
    ])
    const { id, who, ask, code } = await enrolled()
    const make = () => ask('api-keys.create', { body: { name: unique(), scopes: ['read'] } })
    expect((await make()).status).toBe(201)
    world.clock.now += 600_000
    const keys = async () => (await made('api-keys.list', { query: { owner: id } })) as unknown as { items: object[] }
    const before = (await keys()).items.length
    for (const { name, versioned } of asking) {
      const answer = await ask(name, {
        params: { id: world.who('b.read').user ?? '' },
        ...(bodies[name] === undefined ? {} : { body: bodies[name] }),
        ...(versioned ? { headers: { 'If-Match': '"1"' } } : {}),
      })
      expect([name, answer.status, problem(answer)['code']]).toEqual([name, 403, 'CONFIRMATION_REQUIRED'])
    }
    expect((await keys()).items.length).toBe(before)
    // What gives nobody anything goes on.
    expect((await ask('users.list')).status).toBe(200)
    const { version } = await made('users.get', { params: { id } })
    const renamed = { params: { id }, body: { name: unique() }, headers: { 'If-Match': `"${version}"` } }
    expect((await ask('users.update', renamed)).status).toBe(200)
    const wrong = await ask('auth.confirm', { body: { code: '000000' } })
    expect([wrong.status, problem(wrong)['code']]).toEqual([400, 'INVALID_FIELDS'])
    expect((await make()).status).toBe(403)
    const confirmed = await ask('auth.confirm', { body: { code: code() } })
    expect([confirmed.status, confirmed.text]).toEqual([
      200,
      JSON.stringify({ confirmedUntil: new Date(world.clock.now + 600_000).toISOString() }),
    ])
    expect((await make()).status).toBe(201)
    expect(who.kind).toBe('key')
  })

  test('AD-06: a key of such a user, and the local operator, are asked for none', async () => {
    const { id } = await enrolled()
    const owned = { owner: id, name: unique(), scopes: ['read', 'write', 'admin'], use: 'control' }
    const { key } = await made('api-keys.create', { body: owned })
    const by = { ...world.who('operator'), credential: key }
    const body = { name: unique(), scopes: ['read'] }
    expect((await world.ask(by, operationsByName.get('api-keys.create')!, { body })).status).toBe(201)
    const confirmed = await world.ask(by, operationsByName.get('auth.confirm')!, { body: { code: '000000' } })
    expect(confirmed.status).toBe(404)
  })

  test('AD-06: its secret and its codes are in the answers that show them, and nowhere else', async () => {
    const { ask, secret, recoveryCodes, code } = await enrolled()
    const answers = [
      await ask('auth.me'),
      await ask('users.list', { query: { limit: 200 } }),
      await ask('second-factor.begin', { body: { password } }),
      await ask('second-factor.remove', { body: { code: code(1) } }),
    ]
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 409, 204])
    await recordsOf(world, answers)
    const told = JSON.stringify([answers.map(({ text }) => text), world.records()])
    for (const each of [secret, code(1), ...recoveryCodes]) expect(told).not.toContain(each)
    expect(told).toContain('user.second-factor-remove')
  })
})

describe('guesses', () => {
  test('AD-05: a stranger who guesses on is told to wait, whether the account is there or not, and others sign in', async () => {
    const guess = async (email: string) => {
      const answer = await asked('nobody', 'auth.login', { body: { email, password: 'a guess of somebody' } })
      if (answer.status === 429) expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0)
      return answer.status
    }
    const statuses: number[] = []
    for (let each = 0; each < 14; each++)
      statuses.push(await guess(each % 2 === 0 ? (world.who('b.write').email ?? '') : 'missing@example.com'))
    expect(new Set(statuses)).toEqual(new Set([401, 429]))
    expect(statuses.slice(-2)).toEqual([429, 429])
    // From elsewhere, here the socket, the account is not locked.
    expect((await world.signIn(world.who('b.write').email ?? '')).token).toMatch(/^eyJ/)
  })
})
