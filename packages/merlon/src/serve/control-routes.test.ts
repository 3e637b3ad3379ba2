import { createSecretKey, randomBytes } from 'node:crypto'
import { beforeEach, describe, expect, test } from 'vitest'
import * as z from 'zod'
import { Attempts } from '../admin/attempts.ts'
import { operation } from '../admin/operation.ts'
import { operations } from '../admin/operations.ts'
import type { ControlParts } from '../admin/parts.ts'
import { FakeReply } from '../dispatch/reply.fixture.ts'
import { Fault } from '../errors.ts'
import { arrivalOf, gateWith, principalWith, type Sent } from '../guard/arrival.fixture.ts'
import { openSealer } from '../sealing/seal.ts'
import { type ControlDoor, ControlRoutes } from './control-routes.ts'

const sealer = () => openSealer(createSecretKey(randomBytes(32)), randomBytes)
let records: unknown[]
let ran: unknown[]
const parts = () =>
  ({
    clock: () => 1_800_000_000_000,
    audit: { append: (entry: unknown) => void records.push(entry), commit: async () => {}, check() {} },
    cursors: sealer(),
    attempts: new Attempts(sealer(), randomBytes),
    refresh: async () => {},
  }) as unknown as ControlParts

const admin = { scope: 'admin' } as const
const table = [
  operation({
    name: 'things.get',
    method: 'GET',
    path: '/api/things/{id}',
    summary: 'x',
    access: { scope: 'read' },
    params: z.strictObject({ id: z.string() }),
    answer: z.strictObject({ id: z.string(), version: z.int() }),
    run: (_context, { params }) => ({ id: params.id, version: 3 }),
  }),
  operation({
    name: 'things.create',
    method: 'POST',
    path: '/api/things',
    summary: 'x',
    access: admin,
    body: z.strictObject({ name: z.string() }),
    run: (_context, { body }) => void ran.push(body),
  }),
  operation({
    name: 'things.count',
    method: 'GET',
    path: '/api/things/count',
    summary: 'x',
    access: admin,
    reach: 'installation',
    run: () => undefined,
  }),
]

const verbs = { host: 'localhost:4000', 'x-api-key': 'good', 'content-type': 'application/json' }
async function ask(sent: Sent, scopes: readonly string[], { door = 'network' as ControlDoor, role = 'user' } = {}) {
  const gate = gateWith({ verify: () => ({ ok: true, principal: { ...principalWith(scopes), role } }) })
  const call = arrivalOf(
    { verb: 'GET', ...sent, headers: { ...verbs, 'content-length': String(sent.body?.length ?? 0), ...sent.headers } },
    gate,
  )
  const reply = new FakeReply()
  const routes = new ControlRoutes(table, parts(), door)
  const served = routes.get(call.head.path)?.get(call.head.verb)
  if (served === undefined) throw new Fault('route.unknown')
  await served.serve(call, () => reply)
  return { sent: reply.sent, headers: Object.fromEntries(reply.headers), reads: call.bodyReads() }
}

beforeEach(() => {
  records = []
  ran = []
})

describe('the routes of the control plane', () => {
  test('TR-09: every route says what a caller must show; open are signing in and the sign of life alone', () => {
    const open: string[] = []
    for (const [path, all] of new ControlRoutes(operations, parts(), 'network').all())
      for (const [verb, { policy }] of all) {
        expect(['open', 'credential'], `${verb} ${path}`).toContain(policy)
        if (policy === 'open' && verb !== 'OPTIONS') open.push(`${verb} ${path}`)
      }
    expect(open.sort()).toEqual(['GET /health', 'HEAD /health', 'POST /api/auth/login'])
    // Whoever reaches the socket is known by that: no route is open there.
    for (const [path, all] of new ControlRoutes(operations, parts(), 'local').all())
      for (const [verb, { policy }] of all)
        expect(policy, `${verb} ${path}`).toBe(verb === 'OPTIONS' ? 'open' : 'credential')
  })

  test('a path means one thing: it is compared as it was sent', () => {
    const routes = new ControlRoutes(table, parts(), 'network')
    const of = (path: string) => [...(routes.get(path)?.keys() ?? [])].join(' ')
    expect(of('/api/things/a-1')).toBe('GET HEAD OPTIONS')
    expect(of('/api/things/count')).toBe('GET HEAD OPTIONS')
    expect(of('/api/things')).toBe('POST OPTIONS')
    for (const path of [
      '/api/things/',
      '/api/things/a/b',
      '/API/things/a',
      '/api/things/a%20b',
      '/api/things/é',
      `/api/things/${'a'.repeat(129)}`,
      '//api/things/a',
      '/api/things/..%2f',
      '/constructor',
      '',
    ])
      expect(of(path), path).toBe('')
  })

  test('what is found is shown with its version, and recorded by who asked and for what', async () => {
    expect(await ask({ url: '/api/things/t1' }, ['read'])).toMatchObject({
      sent: ['answer 200 {"id":"t1","version":3}'],
      headers: { ETag: '"3"', 'X-Request-Id': 'r1' },
    })
    expect(records).toMatchObject([
      {
        type: 'access',
        success: true,
        method: 'things.get',
        target: 't1',
        principal: 'u1',
        tenant: 't1',
        scope: 'read',
      },
    ])
  })

  test('TR-25: nothing of a body is read before it is known that whoever sent it may ask', async () => {
    const body = '{"name":"x"}'
    const sent = { verb: 'POST', url: '/api/things', body }
    expect(await ask(sent, ['admin'])).toMatchObject({ sent: ['finish 204'], reads: 1 })
    expect(ran).toEqual([{ name: 'x' }])
    const call = arrivalOf(
      { ...sent, headers: { ...verbs, 'content-length': '12' } },
      gateWith({ verify: () => ({ ok: true, principal: principalWith(['read']) }) }),
    )
    const served = new ControlRoutes(table, parts(), 'network').get('/api/things')?.get('POST')
    await expect((async () => served?.serve(call, () => new FakeReply()))()).rejects.toMatchObject({
      code: 'scope.missing',
    })
    expect(call.bodyReads()).toBe(0)
    expect(ran).toHaveLength(1)
  })

  test('AU-03: what counts for the whole server takes an operator, whatever the scopes', async () => {
    await expect(ask({ url: '/api/things/count' }, ['admin'], { role: 'admin' })).rejects.toMatchObject({
      code: 'change.forbidden',
    })
    expect(await ask({ url: '/api/things/count' }, ['admin'], { role: 'operator' })).toMatchObject({
      sent: ['finish 204'],
    })
    await expect(ask({ url: '/api/things/count' }, ['read'], { role: 'operator' })).rejects.toMatchObject({
      code: 'scope.missing',
    })
  })

  test('AD-01: the socket is asked as the local operator, without a credential and from no page', async () => {
    const local = (headers: Sent['headers']) =>
      ask({ url: '/api/things/t1', headers: { 'x-api-key': undefined, ...headers } }, [], { door: 'local' })
    expect(await local({})).toMatchObject({ sent: ['answer 200 {"id":"t1","version":3}'] })
    expect(records).toMatchObject([{ principal: 'local-operator', ip: 'local' }])
    await expect(local({ 'x-api-key': 'good' })).rejects.toMatchObject({ code: 'credential.doubled' })
    await expect(local({ authorization: 'Bearer good' })).rejects.toMatchObject({ code: 'credential.doubled' })
    await expect(local({ origin: 'null' })).rejects.toMatchObject({ code: 'origin.refused' })
    await expect(local({ host: 'evil.example' })).rejects.toMatchObject({ code: 'host.refused' })
  })
})
