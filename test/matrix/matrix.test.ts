import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { operations, operationsByName } from '../../packages/merlon/src/admin/operations.ts'
import type { Answer, Asking, Level, Who, World } from './world.ts'
import { foreignIssuer, openWorld, recordsOf } from './world.ts'

/** What it takes, from the least that will do. `any`: any credential; `open`: none. */
type Takes = 'open' | 'any' | 'read' | 'write' | 'admin' | 'operator'

interface Row {
  readonly takes: Takes
  /** The answer to whoever may. */
  readonly status: number
  /** What is asked, made for who asks: something of their own, that they may see. */
  readonly asking?: (world: World, who: Who) => Promise<Asking> | Asking
  /** Where who asks can have no such thing: the answer is another. */
  readonly but?: Readonly<Record<string, number>>
  /** Over HTTP no credential is looked at and nothing is changed, so there is nobody to record. */
  readonly unrecorded?: true
}

let count = 0
const unique = () => `made ${++count}`
const made = async (world: World, name: string, input: object) =>
  (await world.local.call(name, input)).body as { id: string; version: number }
const homeOf = ({ tenant }: Who) => (tenant === '' ? 'a' : tenant)
/** The user that things are made for: who asks, or for those who are no user somebody of the tenant. */
const ownerOf = (world: World, who: Who) =>
  who.kind === 'key' || who.kind === 'token' ? who.user : world.who(`${homeOf(who)}.write`).user

const someUser = (world: World, who: Who) =>
  made(world, 'users.create', { body: { tenant: homeOf(who), name: unique(), role: 'user' } })
const someTenant = (world: World) => made(world, 'tenants.create', { body: { id: `t${++count}` } })
const someKey = (world: World, who: Who) =>
  made(world, 'api-keys.create', {
    body: {
      name: unique(),
      scopes: ['read'],
      ...(who.kind === 'agent' ? { agent: who.user } : { owner: ownerOf(world, who) }),
    },
  })
const someAgent = async (world: World, who: Who) =>
  who.kind === 'agent'
    ? ((await world.local.call('agents.get', { params: { id: who.user ?? '' } })).body as {
        id: string
        version: number
      })
    : made(world, 'agents.create', { body: { name: unique(), type: 'assistant', owner: ownerOf(world, who) } })
const someBlock = (world: World, who: Who) =>
  made(world, 'subjects.block', { body: { issuer: foreignIssuer, subject: `s${++count}`, tenant: homeOf(who) } })
const ifMatch = (version: number) => ({ 'If-Match': `"${version}"` })
const byId =
  (make: (world: World, who: Who) => Promise<{ id: string }>, more: Asking = {}) =>
  async (world: World, who: Who): Promise<Asking> => ({ params: { id: (await make(world, who)).id }, ...more })
const changed =
  (make: (world: World, who: Who) => Promise<{ id: string; version: number }>, body: object) =>
  async (world: World, who: Who): Promise<Asking> => {
    const { id, version } = await make(world, who)
    return { params: { id }, body, headers: ifMatch(version) }
  }
const signInOf = async (world: World, who: Who) =>
  world.signIn(who.email ?? world.who(`${homeOf(who)}.write`).email ?? '')

/** Every operation there is. */
const table: Readonly<Record<string, Row>> = {
  'auth.login': {
    takes: 'open',
    status: 200,
    asking: (world, who) => ({
      body: { email: world.who(who.tenant === 'b' ? 'b.read' : 'a.read').email, password: 'a long enough sentence' },
    }),
  },
  'auth.me': { takes: 'any', status: 200 },
  'auth.renew': {
    takes: 'any',
    status: 404,
    but: { 'a.write by token': 200, 'a.admin by token': 200, 'operator by token': 200 },
  },
  'auth.confirm': {
    takes: 'any',
    status: 404,
    asking: () => ({ body: { code: '000000' } }),
    // They have no second factor.
    but: { 'a.write by token': 409, 'a.admin by token': 409, 'operator by token': 409 },
  },
  'second-factor.begin': {
    takes: 'any',
    status: 404,
    asking: () => ({ body: { password: 'a long enough sentence' } }),
    but: { 'a.write by token': 201, 'a.admin by token': 201, 'operator by token': 201 },
  },
  'second-factor.confirm': {
    takes: 'any',
    status: 404,
    // To succeed would ask for it from now on: that is held elsewhere.
    asking: async (world, who) => {
      const begin = operationsByName.get('second-factor.begin')!
      await world.ask(who, begin, { body: { password: 'a long enough sentence' } })
      return { body: { code: 'not one' } }
    },
    but: { 'a.write by token': 400, 'a.admin by token': 400, 'operator by token': 400 },
  },
  'second-factor.remove': {
    takes: 'any',
    status: 404,
    asking: () => ({ body: { code: '000000' } }),
    but: { 'a.write by token': 409, 'a.admin by token': 409, 'operator by token': 409 },
  },
  'auth.change-password': {
    takes: 'write',
    // To succeed would end the other sign-ins: that is held elsewhere.
    status: 400,
    asking: () => ({ body: { current: 'a long enough sentence', next: 'short' } }),
    but: { 'an agent': 404, 'local operator': 404 },
  },
  'users.list': { takes: 'admin', status: 200 },
  'users.create': {
    takes: 'admin',
    status: 201,
    asking: (_, who) => ({ body: { name: unique(), tenant: homeOf(who) } }),
  },
  'users.get': { takes: 'admin', status: 200, asking: byId(someUser) },
  'users.update': { takes: 'admin', status: 200, asking: changed(someUser, { role: 'admin' }) },
  'users.set-password': {
    takes: 'admin',
    status: 204,
    asking: byId(someUser, { body: { password: 'another long sentence' } }),
  },
  'users.remove-second-factor': { takes: 'admin', status: 409, asking: byId(someUser) },
  'users.remove': { takes: 'admin', status: 204, asking: byId(someUser) },
  'roles.list': { takes: 'read', status: 200 },
  'tenants.list': { takes: 'admin', status: 200 },
  'tenants.create': { takes: 'operator', status: 201, asking: () => ({ body: { id: `t${++count}` } }) },
  'tenants.get': { takes: 'admin', status: 200, asking: (_, who) => ({ params: { id: homeOf(who) } }) },
  'tenants.update': { takes: 'operator', status: 200, asking: changed(someTenant, { name: 'renamed' }) },
  'api-keys.list': { takes: 'read', status: 200 },
  'api-keys.create': {
    takes: 'write',
    status: 201,
    asking: (world, who) => ({
      body: {
        name: unique(),
        scopes: ['read'],
        ...(who.kind === 'agent' ? { agent: who.user } : { owner: ownerOf(world, who) }),
      },
    }),
  },
  'api-keys.validate': { takes: 'read', status: 200, asking: () => ({ body: { key: 'mrl_none' } }) },
  'api-keys.get': { takes: 'read', status: 200, asking: byId(someKey) },
  'api-keys.update': { takes: 'write', status: 200, asking: changed(someKey, { isActive: false }) },
  'api-keys.regenerate': { takes: 'write', status: 200, asking: byId(someKey) },
  'api-keys.revoke': { takes: 'write', status: 204, asking: byId(someKey) },
  'agents.list': { takes: 'read', status: 200 },
  'agents.create': {
    takes: 'write',
    status: 201,
    asking: (world, who) => ({
      body: { name: unique(), type: 'assistant', ...(who.kind === 'socket' ? { owner: ownerOf(world, who) } : {}) },
    }),
    // Agents belong to users.
    but: { 'an agent': 404 },
  },
  'agents.get': { takes: 'read', status: 200, asking: byId(someAgent) },
  'agents.update': {
    takes: 'write',
    status: 200,
    asking: changed(someAgent, { capabilities: ['summaries'] }),
    // It does not manage itself.
    but: { 'an agent': 403 },
  },
  'agents.remove': { takes: 'write', status: 204, asking: byId(someAgent), but: { 'an agent': 403 } },
  'sign-ins.list': { takes: 'read', status: 200 },
  'sign-ins.revoke': { takes: 'write', status: 204, asking: byId(signInOf), but: { 'an agent': 404 } },
  'sign-ins.revoke-all': {
    takes: 'write',
    status: 200,
    asking: byId(someUser),
    // Those of another are for an administrator.
    but: { 'a.write': 404, 'b.write': 404, 'a.write by token': 404, 'an agent': 404 },
  },
  'subjects.list': { takes: 'admin', status: 200 },
  'subjects.block': {
    takes: 'admin',
    status: 201,
    asking: () => ({ body: { issuer: foreignIssuer, subject: `s${++count}` } }),
  },
  'subjects.unblock': { takes: 'admin', status: 204, asking: byId(someBlock) },
  'sessions.list': { takes: 'admin', status: 200 },
  'sessions.get': {
    takes: 'admin',
    status: 200,
    asking: async (world, who) => ({ params: { id: await world.openSession(homeOf(who)) } }),
  },
  'sessions.end': {
    takes: 'admin',
    status: 204,
    asking: async (world, who) => ({ params: { id: await world.openSession(homeOf(who)) } }),
  },
  'audit.query': { takes: 'admin', status: 200, asking: () => ({ query: { limit: 5 } }) },
  'audit.export': { takes: 'admin', status: 200, asking: () => ({ query: { action: 'tenant.create' } }) },
  'audit.head': { takes: 'operator', status: 200 },
  'audit.key': { takes: 'operator', status: 200 },
  'audit.verify': { takes: 'operator', status: 200 },
  'alerts.list': { takes: 'operator', status: 200 },
  'alerts.acknowledge': { takes: 'operator', status: 404 },
  'metrics.get': { takes: 'operator', status: 200 },
  'metrics.signals': { takes: 'operator', status: 200 },
  'health.get': { takes: 'operator', status: 200 },
  'health.alive': { takes: 'open', status: 200, unrecorded: true },
  'signing-keys.list': { takes: 'operator', status: 200 },
  'signing-keys.rotate': { takes: 'operator', status: 201 },
  'signing-keys.retire': { takes: 'operator', status: 404 },
  'encryption-keys.list': { takes: 'operator', status: 200 },
  'encryption-keys.rotate': { takes: 'operator', status: 200, asking: () => ({ body: { tenant: 'b' } }) },
  'encryption-keys.retire': { takes: 'operator', status: 404 },
  'encryption-keys.destroy': { takes: 'operator', status: 404 },
  // There is no next root key.
  'encryption-keys.rewrap': { takes: 'operator', status: 409 },
  'encryption-keys.verify': { takes: 'operator', status: 200 },
  'openapi.get': { takes: 'any', status: 200 },
  'openapi.page': { takes: 'any', status: 200 },
  // The last: it ends the sign-in of who asks.
  'auth.logout': {
    takes: 'any',
    status: 404,
    but: { 'a.write by token': 204, 'a.admin by token': 204, 'operator by token': 204 },
  },
}

const ranks: readonly Level[] = ['dead', 'read', 'write', 'admin', 'operator', 'local']
const needs: Readonly<Record<Takes, Level>> = {
  open: 'dead',
  any: 'read',
  read: 'read',
  write: 'write',
  admin: 'admin',
  operator: 'operator',
}

function isAdmitted({ takes }: Row, who: Who): boolean {
  return ranks.indexOf(who.level) >= ranks.indexOf(needs[takes])
}

function expectedStatus(row: Row, who: Who): number {
  if (!isAdmitted(row, who)) return who.level === 'dead' ? 401 : 403
  return row.but?.[who.name] ?? row.status
}

let world: World
beforeAll(async () => {
  world = await openWorld()
})
afterAll(() => world?.close())

test('TR-09: the matrix has every operation, and each says what it takes', () => {
  expect(Object.keys(table).sort()).toEqual(operations.map(({ name }) => name).sort())
  for (const { name, access, reach } of operations) {
    const { takes } = table[name]!
    const said =
      access === 'open'
        ? 'open'
        : reach === 'installation'
          ? 'operator'
          : access === 'authenticated'
            ? 'any'
            : access.scope
    expect(`${name} ${said}`).toBe(`${name} ${takes}`)
  }
})

describe.each(Object.entries(table))('%s', (name, row) => {
  test('AU-01: answers each as they may, tells nothing of another tenant, and leaves a record', async () => {
    const operation = operationsByName.get(name)!
    const answers: (readonly [Who, number, Answer])[] = []
    for (const who of world.everyone) {
      const expected = expectedStatus(row, who)
      const admitted = isAdmitted(row, who)
      // Who may not is refused before anything of the request is looked at: it need not be well formed.
      const asking = admitted ? await row.asking?.(world, who) : undefined
      const answer = await world.ask(who, operation, asking ?? {})
      const what = `${who.name}: ${answer.text.slice(0, 300)}`
      expect(answer.status, what).toBe(expected)
      if (who.level !== 'operator' && who.level !== 'local') expect(answer.text, what).not.toMatch(foreignTo(who))
      if (answer.status >= 400) {
        expect(answer.headers['content-type']).toBe('application/problem+json; charset=utf-8')
        expect(JSON.parse(answer.text)).toMatchObject({ status: expected })
      } else if (operation.answer !== undefined) {
        expect(operation.answer.safeParse(JSON.parse(answer.text)).error, what).toBeUndefined()
      } else if (operation.media === undefined) expect(answer.text).toBe('')
      answers.push([who, expected, answer])
    }
    const left = row.unrecorded ? answers.filter(([who]) => who.kind === 'socket') : answers
    const recorded = await recordsOf(
      world,
      left.map(([, , answer]) => answer),
    )
    expect(recorded.length).toBeGreaterThan(0)
    // The local operator asked last, so what the others left behind would stand before it.
    const without = answers
      .filter((answer) => !left.includes(answer))
      .map(([, , { headers }]) => headers['x-request-id'])
    expect(world.records().filter(({ requestId }) => without.includes(requestId as string))).toEqual([])
    for (const [at, [who, expected]] of left.entries()) {
      expect(recorded[at], who.name).toMatchObject({ success: expected < 400, method: name })
      if (expected === 403) expect(recorded[at]?.['tenant']).toBe(who.tenant)
    }
  })
})

/** What belongs to the other tenant and no answer to this one may hold. */
function foreignTo({ tenant }: Who): RegExp {
  return tenant === 'b'
    ? /canary-a\.example|canary tenant a|canary client a/
    : /canary-b\.example|canary tenant b|canary client b/
}
