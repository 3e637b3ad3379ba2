import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { ControlAnswer } from '../../packages/merlon/src/admin/control.ts'
import { httpControl } from '../../packages/merlon/src/admin/http-control.ts'
import { openServer, type Server } from '../../packages/merlon/src/app.ts'

let project: string
let servers: Server[]
const silent = { info: () => undefined, warn: () => undefined, error: () => undefined }

beforeEach(() => {
  project = mkdtempSync(join(tmpdir(), 'merlon-listener-'))
  mkdirSync(join(project, 'src/tools'), { recursive: true })
  servers = []
})
afterEach(async () => {
  for (const server of servers) await server.close()
  rmSync(project, { recursive: true, force: true })
})

async function open(env: Record<string, string> = {}): Promise<Server> {
  const server = await openServer({ project, log: silent, env: { MERLON_SERVER_PORT: '0', ...env } })
  servers.push(server)
  return server
}
const get = async (base: string, path: string, credential?: string) => {
  const answer = await fetch(
    new URL(path, base),
    credential === undefined ? {} : { headers: { 'X-API-Key': credential } },
  )
  return { status: answer.status, type: answer.headers.get('content-type'), text: await answer.text() }
}
const local = (server: Server) => httpControl({ socket: server.control.socket ?? '' })
async function operatorKey(server: Server): Promise<string> {
  const asked = {
    body: { tenant: 'default', user: 'operator', name: 'control', scopes: ['read', 'admin'], use: 'control' },
  }
  return ((await local(server).call('api-keys.create', asked)) as ControlAnswer & { body: { key: string } }).body.key
}
const problem = 'application/problem+json; charset=utf-8'

describe('where the control plane is served', () => {
  test('AD-01: as it comes it has an address of its own, and the MCP endpoint knows nothing of it', async () => {
    const server = await open()
    const key = await operatorKey(server)
    const own = server.control.url ?? ''
    expect(new URL(own).port).not.toBe(new URL(server.url).port)
    expect((await get(own, '/api/users', key)).status).toBe(200)
    for (const path of ['/api/users', '/metrics', '/api/docs'])
      expect((await get(server.url, path, key)).status).toBe(404)
    expect((await get(own, '/mcp', key)).status).toBe(404)
  })

  test('AD-01: shared, it stands beside the MCP endpoint behind a door of its own', async () => {
    // A page that may call MCP may not call this.
    const server = await open({ MERLON_ADMIN_LISTENER: 'shared', MERLON_CORS_ALLOWED_ORIGINS: 'https://app.example' })
    const key = await operatorKey(server)
    expect(server.control.url).toBeUndefined()
    expect(await get(server.url, '/api/users', key)).toMatchObject({ status: 200 })
    expect(await get(server.url, '/metrics', key)).toMatchObject({ status: 200 })
    expect(await get(server.url, '/api/users', server.firstStart?.key)).toMatchObject({ status: 401, type: problem })
    expect(await get(server.url, '/api/users')).toMatchObject({ status: 401, type: problem })
    expect(await get(server.url, '/api/nothing')).toMatchObject({ status: 404, type: problem })
    expect(await get(server.url, '/nothing')).toMatchObject({ status: 404, type: 'application/json; charset=utf-8' })
    expect((await get(server.url, '/health')).text).toBe('{"status":"ok"}')
    const page = await fetch(new URL('/api/docs', server.url), { headers: { 'X-API-Key': key } })
    expect(page.headers.get('content-security-policy')).toMatch(/; style-src 'sha256-[A-Za-z0-9+/=]{44}';/)
    const paged = async (origin: string) =>
      (await fetch(new URL('/api/users', server.url), { headers: { 'X-API-Key': key, Origin: origin } })).status
    expect([await paged(new URL(server.url).origin), await paged('https://app.example')]).toEqual([200, 403])
    const signedIn = await local(server).call('auth.login', {
      body: await withPassword(server),
    })
    const { accessToken } = signedIn.body as { accessToken: string }
    const me = await fetch(new URL('/api/auth/me', server.url), { headers: { Authorization: `Bearer ${accessToken}` } })
    expect(me.status).toBe(200)
  })

  test('AD-01: off, it is reached by the socket alone', async () => {
    const server = await open({ MERLON_ADMIN_LISTENER: 'off' })
    const key = await operatorKey(server)
    expect(server.control.url).toBeUndefined()
    expect(await get(server.url, '/api/users', key)).toMatchObject({
      status: 404,
      type: 'application/json; charset=utf-8',
    })
    expect((await local(server).call('users.list')).status).toBe(200)
    // No door takes a token for it, so none is issued; one for MCP is.
    const login = await withPassword(server)
    await expect(local(server).call('auth.login', { body: login })).rejects.toMatchObject({ problem: { status: 400 } })
    expect((await local(server).call('auth.login', { body: { ...login, resource: server.url } })).status).toBe(200)
  })

  test('RL-01: signing in counts against the limits of an address, and the sign of life does not', async () => {
    const rules = [{ name: 'strangers', per: ['address'], callsMax: 2, windowMs: 60_000 }]
    writeFileSync(join(project, 'merlon.config.json'), JSON.stringify({ rateLimit: { rules } }), { mode: 0o600 })
    const base = (await open()).control.url ?? ''
    const login = async () => {
      const body = JSON.stringify({ email: 'ann@example.com' })
      const headers = { 'Content-Type': 'application/json' }
      return (await fetch(new URL('/api/auth/login', base), { method: 'POST', headers, body })).status
    }
    expect([await login(), await login(), await login()]).toEqual([400, 400, 429])
    expect((await get(base, '/health')).text).toBe('{"status":"ok"}')
  })

  test('a port that is taken is told, and nothing is left behind', async () => {
    const other = createServer()
    await new Promise<void>((listening) => other.listen(0, '127.0.0.1', listening))
    const { port } = other.address() as { port: number }
    await expect(open({ MERLON_ADMIN_PORT: String(port) })).rejects.toThrow(
      `the control plane cannot listen on 127.0.0.1:${port}, which is in use; choose another port with MERLON_ADMIN_PORT or admin.port, or set admin.listener to off`,
    )
    await new Promise((closed) => other.close(closed))
    expect(existsSync(join(project, '.merlon/control.sock'))).toBe(false)
    expect(new URL((await open({ MERLON_ADMIN_PORT: String(port) })).control.url ?? '').port).toBe(String(port))
  })

  test.skipIf(process.platform === 'win32')(
    'a socket that was left behind is replaced, and ours is taken away at the end',
    async () => {
      const path = join(project, '.merlon/control.sock')
      mkdirSync(join(project, '.merlon'), { mode: 0o700 })
      writeFileSync(path, '')
      const server = await open()
      expect(statSync(path).isSocket()).toBe(true)
      expect(statSync(path).mode & 0o777).toBe(0o600)
      expect((await local(server).call('auth.me')).body).toMatchObject({ id: 'local-operator', reach: 'installation' })
      await servers.pop()?.close()
      expect(existsSync(path)).toBe(false)
    },
  )
})

async function withPassword(server: Server): Promise<{ email: string; password: string }> {
  const login = { email: 'boss@example.com', password: 'a long enough sentence' }
  await local(server).call('users.create', { body: { tenant: 'default', name: 'boss', role: 'operator', ...login } })
  return login
}
