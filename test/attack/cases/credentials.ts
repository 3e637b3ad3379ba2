import { expect } from 'vitest'
import { localOperator } from '../../../packages/merlon/src/identity/actor.ts'
import type { KeyRequest } from '../../../packages/merlon/src/identity/keys.ts'
import { type AttackCase, each } from '../attack-case.ts'
import type { Answer } from '../connection.ts'
import { issue, type Target } from '../harness.ts'
import { call, type Request, tool } from '../request.ts'

const area = 'Credentials'
const config = { admin: { listener: 'shared' } } as const

/** Opens a stream with a new key, takes its ground away, and shows the key again. */
async function groundless(
  target: Target,
  request: Pick<KeyRequest, 'owner' | 'agent'>,
  take: (target: Target, key: string) => Promise<unknown>,
): Promise<Answer> {
  const key = await issue(target.server, { ...request, name: 'ground', scopes: ['read', 'write'] } as KeyRequest)
  const headers = { Authorization: `Bearer ${key.text}` }
  const stream = await target.begin(tool('slow', {}, { headers, meta: { progressToken: 'p' } }))
  expect((await stream.begun()).status).toBe(200)
  await take(target, key.id)
  await stream.until(() => stream.answers[0]?.complete === true || stream.closed, 'the end of a stream', 5_000)
  return target.send(call('tools/list', {}, { headers }))
}

const user = 'usr_tenant-a_user'
/** Of the tenant whose loss the honest caller does not feel. */
const other = 'usr_tenant-b_user'

const refusedAs = (reason: string) =>
  ({ status: 401, code: 'INVALID_API_KEY', audit: { type: 'auth', success: false, reason } }) as const

function signIn(target: Target, body: object): Promise<Answer> {
  const request: Request = {
    verb: 'POST',
    path: '/api/auth/login',
    body: JSON.stringify(body),
    headers: { Accept: 'application/json' },
  }
  return target.send(request)
}

export const credentialCases: readonly AttackCase[] = [
  {
    id: 'X-063',
    area,
    requirement: ['AK-07', 'AU-09'],
    title: 'a key that is switched off is refused at once, and its stream ends',
    alone: true,
    send: (target) =>
      groundless(target, { owner: user }, (_target, key) =>
        target.server.keys.updateKey(key, { active: false }, localOperator),
      ),
    expect: refusedAs('inactive'),
  },
  {
    id: 'X-064',
    area,
    requirement: ['AK-07', 'AU-09'],
    title: 'a key of a suspended tenant is refused at once, and its stream ends',
    alone: true,
    send: (target) =>
      groundless(target, { owner: other }, ({ stores }) =>
        stores.tenants.updateTenant('tenant-b', { status: 'suspended' }, undefined, target.now()),
      ),
    expect: refusedAs('tenant-suspended'),
  },
  {
    id: 'X-065',
    area,
    requirement: ['AK-07', 'AU-09'],
    title: 'a key of an agent that is not active is refused at once, and its stream ends',
    alone: true,
    async send(target) {
      const agent = { id: 'agt_000000000001', tenant: 'tenant-a', owner: user, name: 'bot', type: 'assistant' }
      const about = { capabilities: [], metadata: {}, status: 'active' } as const
      await target.stores.agents.createAgent({ ...agent, ...about }, target.now())
      return groundless(target, { agent: agent.id }, ({ stores }) =>
        stores.agents.updateAgent('tenant-a', agent.id, { status: 'error' }, undefined, target.now()),
      )
    },
    expect: refusedAs('agent-inactive'),
  },
  {
    id: 'X-066',
    area,
    requirement: ['AK-07', 'AU-09'],
    title: 'a key of a user who was removed is refused at once, and its stream ends',
    alone: true,
    send: (target) =>
      groundless(target, { owner: other }, ({ stores }) =>
        stores.users.removeUser('tenant-b', other, {}, target.now()),
      ),
    expect: refusedAs('revoked'),
  },
  {
    id: 'X-067',
    area,
    requirement: ['AK-08', 'AU-01'],
    title: 'a tenant that is limited to nothing calls nothing, with the best of keys',
    alone: true,
    async send(target) {
      const write = () => target.send(tool('write_note', { text: 'x' }, { as: 'B.admin' }))
      await target.stores.tenants.updateTenant('tenant-b', { scopes: [] }, undefined, target.now())
      await target.settled(async () => {
        expect((await target.send(call('tools/list', {}, { as: 'B.admin' }))).status).toBe(403)
      })
      return write()
    },
    expect: { status: 403, code: 'INSUFFICIENT_SCOPE' },
  },
  ...each(
    {
      id: 'X-068',
      area,
      requirement: ['AK-13'],
      title: 'a key that is bound to other addresses is as bad as every bad key',
      expect: refusedAs('address'),
    },
    {
      'another range': async (target) => useFrom(target, ['192.0.2.0/24', '2001:db8::/32']),
      nowhere: async (target) => useFrom(target, []),
    },
  ),
  {
    id: 'O-104',
    area,
    requirement: ['AD-05'],
    title: 'a refused sign-in is the same bytes for an account that exists and for one that does not',
    config,
    alone: true,
    async send(target) {
      const password = 'seven green kayaks at dawn'
      const { users } = target.stores
      await users.updateUser('tenant-a', 'usr_tenant-a_admin', { email: 'here@example.com' }, {}, target.now())
      const answers = [
        await signIn(target, { email: 'here@example.com', password }),
        await signIn(target, { email: 'gone@example.com', password }),
        await signIn(target, { tenant: 'tenant-a', name: 'admin', password }),
        await signIn(target, { tenant: 'tenant-a', name: 'nobody', password }),
        await signIn(target, { tenant: 'nowhere', name: 'admin', password }),
        await signIn(target, { tenant: '*', name: 'constructor', password }),
      ]
      expect(new Set(answers.map(({ status, text }) => `${status} ${text}`)).size).toBe(1)
      return answers
    },
    expect: { status: 401, code: 'LOGIN_REFUSED', audit: { type: 'auth', success: false } },
  },
]

async function useFrom(target: Target, addressRanges: readonly string[]): Promise<Answer> {
  const name = `bound ${addressRanges.length}`
  const { text } = await issue(target.server, { owner: user, name, scopes: ['read'], addressRanges })
  return target.send(call('tools/list', {}, { headers: { Authorization: `Bearer ${text}` } }))
}
