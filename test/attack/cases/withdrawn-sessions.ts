import { expect } from 'vitest'
import type { ConfigInput } from '../../../packages/merlon/src/config/schema.ts'
import { ask } from '../../tokens/control-client.ts'
import { type AttackCase, each } from '../attack-case.ts'
import type { Answer, Connection } from '../connection.ts'
import type { Target } from '../harness.ts'
import { MockIssuer } from '../mock-issuer.ts'
import { initialize, message, type Request } from '../request.ts'

const area = 'Session'
const issuer = await MockIssuer.open()
const password = 'a long and quiet walk 7'

const config: ConfigInput = {
  identity: {
    issuers: [
      {
        issuer: issuer.url,
        tenant: { claim: 'org', values: { 'Tenant A': 'tenant-a', 'Tenant B': 'tenant-b' } },
        role: { claim: 'role', values: { Staff: 'user' } },
        allowPrivateNetwork: true,
        dangerouslyAllowHttp: true,
      },
    ],
  },
}

/** As whoever can open the data folder. */
async function local(target: Target, method: string, path: string, body?: object) {
  const place = { socketPath: target.server.control.socket ?? expect.unreachable('no socket') }
  const { etag } = method === 'PATCH' ? await ask(place, 'GET', path) : { etag: undefined }
  const answer = await ask(place, method, path, { body, headers: etag === undefined ? {} : { 'If-Match': etag } })
  expect(answer.status, answer.text).toBeLessThan(300)
  return answer.body
}

/** What is listed, of all or of those that a filter leaves. */
async function listed(target: Target, filter = ''): Promise<readonly { credential: string; principal: string }[]> {
  return (await local(target, 'GET', `/api/sessions?limit=200${filter}`)).items
}

const shown = (request: Request, text: string): Request => ({
  ...request,
  headers: { ...request.headers, Authorization: `Bearer ${text}` },
})

/** A session with its stream open, and who opened it. */
interface Held {
  readonly stream: Connection
  ping(text?: string): Promise<Answer>
}

async function open(target: Target, text: string): Promise<Held> {
  const opened = await target.send(shown(initialize(undefined), text))
  const session = opened.header('mcp-session-id') ?? expect.unreachable(`no session was opened: ${opened.text}`)
  target.sessions.push(session)
  const stream = await target.begin(shown({ verb: 'GET', headers: { 'Mcp-Session-Id': session } }, text))
  expect((await stream.begun()).status).toBe(200)
  return { stream, ping: (again = text) => target.send(shown(message('ping', {}, { id: 1, session }), again)) }
}

/** Streams end within five seconds of their credential. */
const ended = (stream: Connection) =>
  stream.until(() => stream.answers[0]?.complete === true || stream.closed, 'the end of a stream', 5_000)

/** Something to show, how it is taken back, and how whoever had it can call again. */
interface Way {
  readonly text: string
  /** The public id of the credential. */
  readonly credential: string
  /** A credential of the same user, or in another tenant, that stays good. */
  readonly kept?: string
  readonly withdraw: () => Promise<unknown>
  /** Answers what to show then; without it nothing can be. */
  readonly restore?: () => Promise<string>
}

const token = (target: Target, sub: string, org = 'Tenant A') => issuer.token(`http://${target.host}/mcp`, { sub, org })

async function personOf(target: Target) {
  const body = { tenant: 'tenant-a', name: 'ida', role: 'user', password }
  const { id } = await local(target, 'POST', '/api/users', body)
  const signIn = async () => {
    const resource = `http://${target.host}/mcp`
    const login = { tenant: 'tenant-a', name: 'ida', password, resource }
    const { accessToken, signIn } = await local(target, 'POST', '/api/auth/login', login)
    return { text: accessToken as string, id: signIn as string }
  }
  const key = async (name: string) => {
    const made = await local(target, 'POST', '/api/api-keys', { name, scopes: ['read'], owner: id })
    return { text: made.key as string, id: made.id as string }
  }
  return { id: id as string, signIn, key }
}

async function agentOf(target: Target) {
  const owner = 'usr_tenant-a_user'
  const { id } = await local(target, 'POST', '/api/agents', { name: 'bot', type: 'assistant', owner })
  const key = await local(target, 'POST', '/api/api-keys', { name: 'bot', scopes: ['read'], agent: id })
  return { path: `/api/agents/${id}`, text: key.key as string, credential: key.id as string }
}

const ways: Readonly<Record<string, (target: Target) => Promise<Way>>> = {
  'a user who is disabled': async (target) => {
    const { id, key } = await personOf(target)
    const { text, id: credential } = await key('laptop')
    const set = (status: string) => local(target, 'PATCH', `/api/users/${id}`, { status })
    return { text, credential, withdraw: () => set('disabled'), restore: () => set('active').then(() => text) }
  },
  'a user who is disabled, by a sign-in': async (target) => {
    const { id, signIn } = await personOf(target)
    const { text, id: credential } = await signIn()
    const set = (status: string) => local(target, 'PATCH', `/api/users/${id}`, { status })
    return {
      ...{ text, credential, withdraw: () => set('disabled') },
      restore: () => set('active').then(async () => (await signIn()).text),
    }
  },
  'a user who is removed': async (target) => {
    const { id, key } = await personOf(target)
    const { text, id: credential } = await key('laptop')
    return { text, credential, withdraw: () => local(target, 'DELETE', `/api/users/${id}`) }
  },
  'a key that is revoked, and not the other key of the user': async (target) => {
    const { key } = await personOf(target)
    const { text, id } = await key('laptop')
    const { text: kept } = await key('phone')
    return { text, credential: id, kept, withdraw: () => local(target, 'DELETE', `/api/api-keys/${id}`) }
  },
  'a key that is switched off': async (target) => {
    const { text, id } = target.key('A.write')
    const set = (isActive: boolean) => local(target, 'PATCH', `/api/api-keys/${id}`, { isActive })
    return { text, credential: id, withdraw: () => set(false), restore: () => set(true).then(() => text) }
  },
  'an agent that is made inactive': async (target) => {
    const { path, text, credential } = await agentOf(target)
    const set = (status: string) => local(target, 'PATCH', path, { status })
    return { text, credential, withdraw: () => set('inactive'), restore: () => set('active').then(() => text) }
  },
  'an agent that is removed': async (target) => {
    const { path, text, credential } = await agentOf(target)
    return { text, credential, withdraw: () => local(target, 'DELETE', path) }
  },
  'the owner of an agent who is disabled': async (target) => {
    const { text, credential } = await agentOf(target)
    const set = (status: string) => local(target, 'PATCH', '/api/users/usr_tenant-a_user', { status })
    return { text, credential, withdraw: () => set('disabled'), restore: () => set('active').then(() => text) }
  },
  'a tenant that is suspended': async (target) => {
    const { text, id } = target.key('B.write')
    const set = (status: string) => local(target, 'PATCH', '/api/tenants/tenant-b', { status })
    return { text, credential: id, withdraw: () => set('suspended'), restore: () => set('active').then(() => text) }
  },
  'a tenant that is suspended, by a subject of another issuer': async (target) => {
    const text = token(target, 'bob', 'Tenant B')
    const set = (status: string) => local(target, 'PATCH', '/api/tenants/tenant-b', { status })
    const kept = token(target, 'bob')
    return {
      ...{ text, kept, credential: `${issuer.url}#bob` },
      ...{ withdraw: () => set('suspended'), restore: () => set('active').then(() => text) },
    }
  },
  'a sign-in that is revoked, and not the other of the user': async (target) => {
    const { signIn } = await personOf(target)
    const { text, id } = await signIn()
    const { text: kept } = await signIn()
    const withdraw = () => local(target, 'DELETE', `/api/sign-ins/${id}`)
    return { text, credential: id, kept, withdraw, restore: async () => kept }
  },
  'a password that is changed': async (target) => {
    const { id, signIn } = await personOf(target)
    const { text, id: credential } = await signIn()
    const withdraw = () => local(target, 'POST', `/api/users/${id}/password`, { password })
    return { text, credential, withdraw, restore: async () => (await signIn()).text }
  },
  'a subject who is blocked': async (target) => {
    const text = token(target, 'ann')
    let block = ''
    return {
      ...{ text, credential: `${issuer.url}#ann` },
      withdraw: async () => {
        const made = await local(target, 'POST', '/api/blocked-subjects', { issuer: issuer.url, subject: 'ann' })
        block = made.id
      },
      restore: () => local(target, 'DELETE', `/api/blocked-subjects/${block}`).then(() => text),
    }
  },
  'a subject who is blocked in one tenant, and not in another': async (target) => {
    const text = token(target, 'ann')
    const kept = token(target, 'ann', 'Tenant B')
    let block = ''
    return {
      ...{ text, kept, credential: `${issuer.url}#ann` },
      withdraw: async () => {
        const where = { issuer: issuer.url, subject: 'ann', tenant: 'tenant-a' }
        block = (await local(target, 'POST', '/api/blocked-subjects', where)).id
      },
      restore: () => local(target, 'DELETE', `/api/blocked-subjects/${block}`).then(() => text),
    }
  },
}

const over = { status: 404, code: 'SESSION_NOT_FOUND' } as const

export const withdrawnSessionCases: readonly AttackCase[] = [
  ...each(
    {
      id: 'X-210',
      area,
      requirement: ['SE-05', 'AK-07'],
      title: 'the sessions of who may call no more are over for good, and those of others go on',
      config,
      alone: true,
      expect: { ...over, audit: { type: 'session', action: 'withdraw', outcome: '2' } },
    },
    Object.fromEntries(
      Object.entries(ways).map(([sub, way]): [string, AttackCase['send']] => [
        sub,
        async (target) => {
          const { text, credential, kept = target.key('A.admin').text, withdraw, restore } = await way(target)
          const mine = [await open(target, text), await open(target, text)]
          const other = await open(target, kept)
          const filter = `&credential=${encodeURIComponent(credential)}`
          const before = await listed(target)
          expect(before).toHaveLength(3)
          expect((await listed(target, filter)).length).toBeGreaterThanOrEqual(2)
          await withdraw()
          // What the control plane answered is done.
          expect(await listed(target)).toHaveLength(1)
          for (const { stream } of mine) await ended(stream)
          expect((await other.ping()).status).toBe(200)
          expect(other.stream.answers[0]?.complete).toBe(false)
          const again = await restore?.()
          if (again === undefined) {
            expect((await mine[0]!.ping()).status).toBe(401)
            return await other.ping().then(() => undefined)
          }
          return [await mine[0]!.ping(again), await mine[1]!.ping(again)]
        },
      ]),
    ),
  ),
  {
    id: 'X-211',
    area,
    requirement: ['SE-05', 'AK-07'],
    title: 'what is withdrawn while no server runs, or as one is killed, ends its sessions when the next one starts',
    config,
    alone: true,
    send: async (target) => {
      const mine = await open(target, target.key('B.read').text)
      const other = await open(target, target.key('A.admin').text)
      const user = { ...{ tenant: 'tenant-b', id: 'usr_tenant-b_user' } }
      await target.restart(async () => {
        await target.stores.users.updateUser(user.tenant, user.id, { status: 'disabled' }, {}, target.now())
      })
      expect(await listed(target)).toHaveLength(1)
      expect((await other.ping()).status).toBe(200)
      await local(target, 'PATCH', `/api/users/${user.id}`, { status: 'active' })
      return mine.ping()
    },
    expect: { ...over, audit: { type: 'session', action: 'withdraw', outcome: '1' } },
  },
]
