import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { request as requestHttp } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { vi } from 'vitest'
import type { Control, ControlInput } from '../../packages/merlon/src/admin/control.ts'
import { httpControl } from '../../packages/merlon/src/admin/http-control.ts'
import type { Operation } from '../../packages/merlon/src/admin/operation.ts'
import { openServer, type Server } from '../../packages/merlon/src/app.ts'
import { loadConfig } from '../../packages/merlon/src/config/load.ts'
import type { ConfigInput } from '../../packages/merlon/src/config/schema.ts'

/** An issuer whose tokens are taken. Nobody is there to be asked for its keys. */
export const foreignIssuer = 'https://id.example'

const password = 'a long enough sentence'

/** Somebody who asks: a credential, or the socket. */
export interface Who {
  readonly name: string
  /** What they may do here, from `dead`, who may nothing, to `local`, who may everything. */
  readonly level: Level
  readonly tenant: string
  /** The id of their user; of the local operator there is none. */
  readonly user: string | undefined
  readonly email: string | undefined
  readonly credential: string | undefined
  readonly kind: 'none' | 'key' | 'token' | 'agent' | 'socket'
}

export type Level = 'dead' | 'read' | 'write' | 'admin' | 'operator' | 'local'

export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly text: string
}

export interface Asking {
  readonly params?: ControlInput['params']
  readonly query?: ControlInput['query']
  readonly body?: unknown
  /** A body as it is written, in the place of `body`. */
  readonly raw?: string
  readonly headers?: Readonly<Record<string, string>>
}

/** A server with two tenants, and everyone who could ask it something. */
export interface World {
  readonly server: Server
  /** The control plane as the local operator. */
  readonly local: Control
  readonly everyone: readonly Who[]
  /** Of the server. */
  readonly clock: { now: number }
  who(name: string): Who
  ask(who: Who, operation: Operation, asking?: Asking): Promise<Answer>
  send(who: Who, method: string, path: string, asking?: Asking): Promise<Answer>
  /** Opens an MCP session in the tenant, and answers the id that an administrator sees. */
  openSession(tenant: string): Promise<string>
  signIn(email: string): Promise<{ readonly token: string; readonly id: string }>
  records(): readonly Readonly<Record<string, unknown>>[]
  close(): Promise<void>
}

export async function openWorld(settings: ConfigInput = {}): Promise<World> {
  const project = mkdtempSync(join(tmpdir(), 'merlon-matrix-'))
  mkdirSync(join(project, 'src/tools'), { recursive: true })
  const clock = { now: 1_800_000_000_000 }
  const { config, secrets } = loadConfig({
    project,
    env: {},
    files: {
      read: (path) =>
        path.endsWith('merlon.config.json')
          ? {
              text: JSON.stringify({
                server: { port: 0 },
                rateLimit: { callsMax: 1_000_000, failuresMax: 1_000_000, rules: [] },
                audit: { flushMs: 1, headMs: 100 },
                log: { level: 'silent' },
                identity: { issuers: [{ issuer: foreignIssuer, tenant: { value: 'a' }, role: { value: 'user' } }] },
                ...settings,
              }),
              mode: 0o600,
            }
          : undefined,
    },
  })
  const silent = { info: () => undefined, warn: () => undefined, error: () => undefined }
  const server = await openServer({ project, config, secrets, clock: () => clock.now, log: silent })
  const { socket, url } = server.control
  if (socket === undefined) throw new Error('no socket')
  const local = httpControl({ socket })
  const made = async <T>(operation: string, input: ControlInput) =>
    (await local.call(operation, input)).body as T & { id: string; version: number }

  const everyone: Who[] = []
  let keys = 0
  const keyOf = async (owner: object, scopes: readonly string[], more: object = {}) => {
    const name = `key ${++keys}`
    return made<{ key: string }>('api-keys.create', { body: { name, scopes, use: 'control', ...owner, ...more } })
  }
  const userIn = (tenant: string, name: string, role: string) =>
    made<{ email: string }>('users.create', {
      body: { tenant, name, role, email: `${name}@canary-${tenant}.example`, password },
    })
  const scopesOf = { read: ['read'], write: ['read', 'write'], admin: ['read', 'write', 'admin'] } as const
  const add = (who: Who) => void everyone.push(who)
  const mcpKeys = new Map<string, string>()

  for (const tenant of ['a', 'b']) {
    await made('tenants.create', { body: { id: tenant, name: `canary tenant ${tenant}` } })
    for (const level of ['read', 'write', 'admin'] as const) {
      const { id: user, email } = await userIn(tenant, `${level}er`, level === 'admin' ? 'admin' : 'user')
      const { key } = await keyOf({ owner: user }, scopesOf[level])
      add({ name: `${tenant}.${level}`, level, tenant, user, email, credential: key, kind: 'key' })
    }
    mcpKeys.set(tenant, (await keyOf({ owner: whoIs(`${tenant}.write`).user }, ['read', 'write'], { use: 'mcp' })).key)
  }
  function whoIs(name: string): Who {
    const found = everyone.find((who) => who.name === name)
    if (found === undefined) throw new Error(`there is no ${name}`)
    return found
  }

  const dead = (name: string, credential: string | undefined, tenant = 'a') =>
    add({
      name,
      level: 'dead',
      tenant,
      user: undefined,
      email: undefined,
      credential,
      kind: credential ? 'key' : 'none',
    })
  dead('nobody', undefined)
  dead('an mcp key', mcpKeys.get('a'))
  const disabled = await userIn('a', 'disabled', 'admin')
  dead('a disabled user', (await keyOf({ owner: disabled.id }, scopesOf.admin)).key)
  await made('users.update', { params: { id: disabled.id }, body: { status: 'disabled' }, version: disabled.version })
  const revoked = await keyOf({ owner: whoIs('a.admin').user }, scopesOf.admin)
  await local.call('api-keys.revoke', { params: { id: revoked.id } })
  dead('a revoked key', revoked.key)
  const off = await keyOf({ owner: whoIs('a.admin').user }, scopesOf.admin)
  await made('api-keys.update', { params: { id: off.id }, body: { isActive: false }, version: off.version })
  dead('a key that is switched off', off.key)
  const expired = await keyOf({ owner: whoIs('a.admin').user }, scopesOf.admin, { lifetime: '1m' })
  clock.now += 60_000
  dead('an expired key', expired.key)
  const suspended = await made('tenants.create', { body: { id: 'c' } })
  const inSuspended = await userIn('c', 'admin', 'admin')
  dead('a suspended tenant', (await keyOf({ owner: inSuspended.id }, scopesOf.admin)).key, 'c')
  await made('tenants.update', { params: { id: 'c' }, body: { status: 'suspended' }, version: suspended.version })
  dead('a made-up key', 'mrl_000000000000_0000000000000000000000000000000000000000000000000')
  dead('a made-up token', 'eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.')

  const boss = await userIn('a', 'boss', 'operator')
  const bossKey = await keyOf({ owner: boss.id }, scopesOf.admin)
  add({
    name: 'operator',
    level: 'operator',
    tenant: 'a',
    user: boss.id,
    email: boss.email,
    credential: bossKey.key,
    kind: 'key',
  })
  const agent = await made('agents.create', {
    body: { name: 'robot', type: 'assistant', owner: whoIs('a.write').user },
  })
  const agentKey = await keyOf({ agent: agent.id }, scopesOf.write)
  add({
    name: 'an agent',
    level: 'write',
    tenant: 'a',
    user: agent.id,
    email: undefined,
    credential: agentKey.key,
    kind: 'agent',
  })
  const signIn = async (email: string) => {
    const { accessToken, signIn: id } = await made<{ accessToken: string; signIn: string }>('auth.login', {
      body: { email, password },
    })
    return { token: accessToken, id }
  }
  for (const [name, of] of [
    ['a.write by token', whoIs('a.write')],
    ['a.admin by token', whoIs('a.admin')],
    ['operator by token', whoIs('operator')],
  ] as const)
    add({ ...of, name, credential: (await signIn(of.email ?? '')).token, kind: 'token' })
  add({
    name: 'local operator',
    level: 'local',
    tenant: '',
    user: undefined,
    email: undefined,
    credential: undefined,
    kind: 'socket',
  })

  const send: World['send'] = (who, method, path, { query, body, raw, headers } = {}) => {
    const search = new URLSearchParams(
      Object.entries(query ?? {}).map(([name, value]): [string, string] => [name, String(value)]),
    ).toString()
    const payload = raw ?? (body === undefined ? undefined : JSON.stringify(body))
    const options = {
      method,
      path: search === '' ? path : `${path}?${search}`,
      agent: false as const,
      headers: {
        ...(payload === undefined
          ? {}
          : { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(payload) }),
        ...(who.credential === undefined ? {} : { Authorization: `Bearer ${who.credential}` }),
        ...headers,
      },
    }
    return new Promise((answered, failed) => {
      const to =
        who.kind === 'socket' ? { ...options, socketPath: socket } : { ...options, ...addressOf(url ?? server.url) }
      const sent = requestHttp(to, (response) => {
        let text = ''
        response.setEncoding('utf8')
        response.on('data', (piece: string) => {
          text += piece
        })
        response.on('end', () => answered({ status: response.statusCode ?? 0, headers: response.headers, text }))
      })
      sent.on('error', failed)
      sent.end(payload)
    })
  }

  // A little later the log has a signed head.
  await vi.waitFor(() => local.call('audit.head'), { timeout: 5_000 })

  return {
    server,
    local,
    everyone,
    clock,
    who: whoIs,
    send,
    ask: (who, { method, path }, asking = {}) =>
      send(
        who,
        method,
        path.replace(/\{(\w+)\}/g, (_, name: string) => asking.params?.[name] ?? 'none'),
        asking,
      ),
    async openSession(tenant) {
      const listed = async () =>
        (await made<{ items: { id: string }[] }>('sessions.list', { query: { tenant, limit: 200 } })).items
      const before = new Set((await listed()).map(({ id }) => id))
      const params = {
        protocolVersion: '2025-11-25',
        capabilities: {},
        clientInfo: { name: `canary client ${tenant}`, version: '1' },
      }
      const opened = await fetch(server.url, {
        method: 'POST',
        headers: {
          Authorization: `Bearer ${mcpKeys.get(tenant)}`,
          'Content-Type': 'application/json',
          Accept: 'application/json, text/event-stream',
        },
        body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'initialize', params }),
      })
      if (opened.status !== 200) throw new Error(`initialize: ${opened.status} ${await opened.text()}`)
      const added = (await listed()).find(({ id }) => !before.has(id))
      if (added === undefined) throw new Error('no session was listed')
      return added.id
    },
    signIn,
    records: () =>
      readFileSync(join(project, '.merlon/audit.jsonl'), 'utf8')
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as Record<string, unknown>),
    async close() {
      await server.close()
      rmSync(project, { recursive: true, force: true })
    },
  }
}

/** The records of these requests. They may wait in memory a little. */
export function recordsOf(
  world: World,
  answers: readonly Answer[],
): Promise<readonly Readonly<Record<string, unknown>>[]> {
  const ids = answers.map(({ headers }) => headers['x-request-id'])
  return vi.waitFor(() => {
    const byId = new Map(world.records().map((record) => [record['requestId'], record]))
    return ids.map((id) => {
      const found = byId.get(id as string)
      if (found === undefined) throw new Error(`no record of ${String(id)}`)
      return found
    })
  }, 15_000)
}

function addressOf(url: string): { readonly host: string; readonly port: string } {
  const { hostname, port } = new URL(url)
  return { host: hostname, port }
}
