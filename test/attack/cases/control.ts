import { expect } from 'vitest'
import { operations } from '../../../packages/merlon/src/admin/operations.ts'
import type { AttackCase } from '../attack-case.ts'
import { each } from '../attack-case.ts'
import type { Answer } from '../connection.ts'
import { issue, type Target } from '../harness.ts'
import type { Request } from '../request.ts'

const area = 'Control plane'
/** Beside the MCP endpoint, where more could go wrong than at an address of its own. */
const config = { admin: { listener: 'shared' } } as const

const tenants = { A: 'tenant-a', B: 'tenant-b' } as const
let count = 0

/** A control key of a user of the tenant, made for one case. */
function controlKey(target: Target, tenant: keyof typeof tenants, role: 'user' | 'admin', scopes: readonly string[]) {
  const name = `control ${++count}`
  return issue(target.server, { tenant: tenants[tenant], user: role, name, scopes, use: 'control' })
}

function ask(
  target: Target,
  credential: string | undefined,
  verb: string,
  path: string,
  more: Partial<Request> & { json?: unknown } = {},
): Promise<Answer> {
  const { json, headers, ...rest } = more
  return target.send({
    verb,
    path,
    ...(json === undefined ? {} : { body: JSON.stringify(json) }),
    ...rest,
    headers: {
      Accept: 'application/json',
      ...(credential === undefined ? {} : { Authorization: `Bearer ${credential}` }),
      ...headers,
    },
  })
}

const routes = operations.filter(
  ({ path, access }) => access !== 'open' && (path.startsWith('/api/') || path === '/metrics'),
)
const pathOf = (path: string) => path.replace(/\{\w+\}/g, 'none')

async function everyRoute(
  target: Target,
  credential: string | undefined,
  which = routes,
  more: Partial<Request> = {},
): Promise<readonly Answer[]> {
  const answers: Answer[] = []
  for (const { method, path } of which) answers.push(await ask(target, credential, method, pathOf(path), more))
  expect(answers.length).toBeGreaterThan(10)
  return answers
}

export const controlCases: readonly AttackCase[] = [
  {
    id: 'O-033',
    sub: 'control plane',
    area,
    requirement: ['TR-09', 'AD-10'],
    title: 'every route refuses whoever shows nothing',
    config,
    send: (target) => everyRoute(target, undefined),
    expect: { status: 401, code: 'MISSING_API_KEY', headers: { 'www-authenticate': /^Bearer / } },
  },
  {
    id: 'X-110',
    area,
    requirement: ['AD-01'],
    title: 'a key for MCP opens no route of it, whatever its scopes',
    config,
    send: (target) => everyRoute(target, target.key('A.admin').text),
    expect: { status: 401, code: 'INVALID_API_KEY' },
  },
  {
    id: 'O-026',
    sub: 'control plane',
    area,
    requirement: ['OH-02', 'AD-03'],
    title: 'a foreign page gets nothing, with a good key or without',
    config,
    async send(target) {
      const { text } = await controlKey(target, 'A', 'admin', ['read', 'write', 'admin'])
      const headers = { Origin: 'https://evil.example' }
      return [
        ...(await everyRoute(target, text, routes, { headers })),
        await ask(target, undefined, 'OPTIONS', '/api/users', { headers }),
        await ask(target, undefined, 'POST', '/api/auth/login', { headers, json: {} }),
      ]
    },
    expect: { status: 403, code: 'ORIGIN_REFUSED', headers: { 'access-control-allow-origin': null } },
  },
  ...each(
    {
      id: 'O-102',
      area,
      requirement: ['OH-08', 'AD-03'],
      title: 'another site changes nothing, though the browser hides which it is',
      config,
      expect: { status: 403, code: 'ORIGIN_REFUSED' },
    },
    Object.fromEntries(
      (['cross-site', 'same-site'] as const).map((site) => [
        site,
        async (target: Target) => {
          const { text } = await controlKey(target, 'A', 'admin', ['read', 'write', 'admin'])
          const unsafe = routes.filter(({ method }) => method !== 'GET')
          return everyRoute(target, text, unsafe, {
            headers: { 'Sec-Fetch-Site': site, 'Content-Type': 'application/x-www-form-urlencoded' },
          })
        },
      ]),
    ),
  ),
  {
    id: 'O-103',
    sub: 'control plane',
    area,
    requirement: ['AD-03', 'AK-05'],
    title: 'a cookie is no credential: one that was planted is worth nothing, and none is given',
    config,
    async send(target) {
      const { text } = await controlKey(target, 'A', 'admin', ['read', 'write', 'admin'])
      const headers = { Cookie: `session=${text}; access_token=${text}` }
      return everyRoute(target, undefined, routes, { headers })
    },
    expect: { status: 401, code: 'MISSING_API_KEY', headers: { 'set-cookie': null } },
  },
  {
    id: 'X-183',
    area,
    requirement: ['AD-03', 'TR-11'],
    title: 'what a form could send changes nothing, with a good key or without',
    config,
    async send(target) {
      const { text } = await controlKey(target, 'A', 'admin', ['read', 'write', 'admin'])
      const form = { headers: { 'Content-Type': 'application/x-www-form-urlencoded' }, body: 'name=mallory&role=admin' }
      return [
        await ask(target, text, 'POST', '/api/users', form),
        await ask(target, text, 'POST', '/api/users', { ...form, headers: { 'Content-Type': 'text/plain' } }),
        await ask(target, undefined, 'POST', '/api/auth/login', form),
      ]
    },
    expect: { status: 415, code: 'UNSUPPORTED_MEDIA_TYPE' },
  },
  {
    id: 'O-039',
    sub: 'control plane',
    area,
    requirement: ['AK-09'],
    title: 'a writer makes no key with more than it holds',
    config,
    async send(target) {
      const { text } = await controlKey(target, 'A', 'user', ['read', 'write'])
      return [
        await ask(target, text, 'POST', '/api/api-keys', { json: { name: 'more', scopes: ['admin'] } }),
        await ask(target, text, 'POST', '/api/api-keys', { json: { name: 'more', scopes: ['read', 'vault:open'] } }),
      ]
    },
    expect: { status: 403, code: 'FORBIDDEN' },
  },
  {
    id: 'O-040',
    sub: 'control plane',
    area,
    requirement: ['AK-03'],
    title: 'a list and a look at keys show neither secret nor digest',
    config,
    async send(target) {
      const { id, text } = await controlKey(target, 'A', 'admin', ['read', 'admin'])
      const answers = [
        await ask(target, text, 'GET', '/api/api-keys?limit=200'),
        await ask(target, text, 'GET', `/api/api-keys/${id}`),
      ]
      for (const answer of answers) {
        expect(answer.text).toContain(`"last4":"${text.slice(-4)}"`)
        expect(answer.text).not.toContain(text.slice(17))
        expect(answer.text).not.toMatch(/digest|secret|hash|pepper/)
      }
      return answers
    },
    expect: { status: 200 },
  },
  {
    id: 'O-062',
    sub: 'control plane',
    area,
    requirement: ['AU-01'],
    title: 'a reader gets no further than reading its own things',
    config,
    async send(target) {
      const { text } = await controlKey(target, 'A', 'user', ['read'])
      return everyRoute(
        target,
        text,
        routes.filter(
          ({ access, reach }) => reach === 'installation' || (typeof access === 'object' && access.scope !== 'read'),
        ),
      )
    },
    expect: { status: 403 },
  },
  {
    id: 'O-063',
    sub: 'control plane',
    area,
    requirement: ['AU-05'],
    title: 'an administrator reaches nothing of another tenant, and cannot tell it from nothing',
    config,
    async send(target) {
      const { text } = await controlKey(target, 'B', 'admin', ['read', 'write', 'admin'])
      const key = target.key('A.write')
      const both = async (verb: string, tail = '', more: Parameters<typeof ask>[4] = {}) => {
        const there = await ask(target, text, verb, `/api/api-keys/${key.id}${tail}`, more)
        const not = await ask(target, text, verb, `/api/api-keys/key_000000000000${tail}`, more)
        expect(there.text).toBe(not.text)
        return [there, not]
      }
      const answers = [
        ...(await both('GET')),
        ...(await both('PATCH', '', { json: { isActive: false }, headers: { 'If-Match': '"1"' } })),
        ...(await both('POST', '/regenerate')),
        ...(await both('DELETE')),
      ]
      expect((await target.send({ as: 'A.write', verb: 'GET', path: '/mcp' })).status).not.toBe(401)
      return answers
    },
    expect: { status: 404, code: 'ENTRY_NOT_FOUND' },
  },
  ...each(
    {
      id: 'O-064',
      area,
      requirement: ['AU-10'],
      title: 'nothing can be slipped into a change that is none of it',
      config,
      expect: { status: 400, code: 'INVALID_FIELDS' },
    },
    Object.fromEntries(
      [{ role: 'admin' }, { tenant: 'tenant-b' }, { tenantId: 'B' }, { createdBy: 'x' }, { owner: 'usr_x' }].map(
        (field) => [
          JSON.stringify(field),
          async (target: Target) => {
            const { id, text } = await controlKey(target, 'A', 'user', ['read', 'write'])
            return ask(target, text, 'PATCH', `/api/api-keys/${id}`, {
              json: { name: 'mine', ...field },
              headers: { 'If-Match': '"1"' },
            })
          },
        ],
      ),
    ),
  ),
  {
    id: 'O-105',
    area,
    requirement: ['AD-05'],
    title: 'what is no text signs nobody in',
    config,
    async send(target) {
      const answers: Answer[] = []
      for (const email of [['a@example.com'], { $gt: '' }, 7, null, true])
        answers.push(
          await ask(target, undefined, 'POST', '/api/auth/login', { json: { email, password: 'a long sentence' } }),
        )
      return answers
    },
    expect: { status: 400, code: 'INVALID_FIELDS' },
  },
  {
    id: 'O-105',
    sub: 'tries',
    area,
    requirement: ['AD-05'],
    title: 'who tries a thousand times has tried ten times, and is told to wait',
    config,
    alone: true,
    async send(target) {
      const answers: Answer[] = []
      for (let each = 0; each < 1_000; each++)
        answers.push(
          await ask(target, undefined, 'POST', '/api/auth/login', {
            json: { email: 'ann@example.com', password: `a guess ${each} of many` },
          }),
        )
      expect(answers.slice(0, 10).map(({ status }) => status)).toEqual(Array(10).fill(401))
      return answers.slice(10)
    },
    expect: { status: 429, code: 'RATE_LIMITED', headers: { 'retry-after': /^[1-9][0-9]*$/ } },
  },
  {
    id: 'O-116',
    area,
    requirement: ['AU-11'],
    title: 'an administrator makes nobody an operator, and stays while it is the last',
    config,
    async send(target) {
      const { text } = await controlKey(target, 'A', 'admin', ['read', 'write', 'admin'])
      const me = JSON.parse((await ask(target, text, 'GET', '/api/auth/me')).text) as { id: string }
      const own = JSON.parse((await ask(target, text, 'GET', `/api/users/${me.id}`)).text) as { version: number }
      const change = (json: object) =>
        ask(target, text, 'PATCH', `/api/users/${me.id}`, { json, headers: { 'If-Match': `"${own.version}"` } })
      const last = [await change({ role: 'user' }), await ask(target, text, 'DELETE', `/api/users/${me.id}`)]
      expect(last.map(({ status, code }) => [status, code])).toEqual(last.map(() => [409, 'CONFLICT']))
      return [
        await change({ role: 'operator' }),
        await ask(target, text, 'POST', '/api/users', { json: { name: 'boss', role: 'operator' } }),
      ]
    },
    expect: { status: 403, code: 'FORBIDDEN' },
  },
  {
    id: 'O-120',
    area,
    requirement: ['AU-04', 'AL-06'],
    title: 'the log of another tenant is not there, whatever is asked for, and nothing is deleted',
    config,
    async send(target) {
      const { text } = await controlKey(target, 'A', 'admin', ['read', 'write', 'admin'])
      for (const query of ['tenant=tenant-b', 'tenant=%25', 'principal=%25', "method=' OR 1=1 --", 'tool=write_not_']) {
        const answer = await ask(target, text, 'GET', `/api/audit?${query.replaceAll(' ', '%20')}`)
        expect([answer.status, answer.text]).toEqual([200, '{"items":[]}'])
      }
      expect((await ask(target, text, 'GET', '/api/audit?limit=200')).text).not.toContain('tenant-b')
      return [
        await ask(target, text, 'DELETE', '/api/audit'),
        await ask(target, text, 'PATCH', '/api/audit', { json: {} }),
      ]
    },
    expect: { status: 405, code: 'METHOD_NOT_ALLOWED', headers: { allow: 'GET, HEAD, OPTIONS' } },
  },
]
