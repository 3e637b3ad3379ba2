import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { get as getPlain, type IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Server } from 'merlon'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { Authority, hasOpenssl, install } from './certificates.ts'
import { ask, callOf, openTls, portOf } from './server.ts'

const command = join(import.meta.dirname, '../../packages/merlon/bin/merlon.cjs')
const clientProject = join(import.meta.dirname, '../client/project')

describe.skipIf(!hasOpenssl)('TLS on a port of its own, beside plain HTTP', () => {
  let folder: string
  let server: Server
  let key: string

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'merlon-two-ports-'))
    const place = { certificate: join(folder, 'cert.pem'), key: join(folder, 'key.pem') }
    install(new Authority(folder, 'ours').issue('server'), place)
    server = await openTls(folder, { HTTPS_PORT: '0', MERLON_ADMIN_LISTENER: 'shared' })
    key = server.firstStart?.key ?? ''
  })
  afterAll(async () => {
    await server.close()
    rmSync(folder, { recursive: true, force: true })
  })

  const plain = (path: string, headers: Record<string, string> = {}): Promise<IncomingMessage & { text: string }> =>
    new Promise((resolve, reject) => {
      const port = portOf(server.clearUrl)
      getPlain({ host: '127.0.0.1', port, path, headers, agent: false }, (answer) => {
        let text = ''
        answer.setEncoding('utf8').on('data', (piece: string) => (text += piece))
        answer.on('end', () => resolve(Object.assign(answer, { text })))
      }).on('error', reject)
    })

  test('TR-01: both are served, each in its own scheme', async () => {
    expect(server.url).toMatch(/^https:\/\/127\.0\.0\.1:\d+\/mcp$/)
    expect(server.clearUrl).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/mcp$/)
    const call = callOf('tools/call', { name: 'add', arguments: { left: 1, right: 2 } }, key)
    expect(await ask(portOf(server.url), '/mcp', call)).toMatchObject({
      status: 200,
      text: expect.stringContaining('"sum":3'),
    })
    expect((await plain('/ready')).text).toBe('{"status":"ready"}')
  })

  test.each(['/health', '/mcp', '/nothing', '/api/users', '/api/docs'])(
    'TR-03: %s is answered in clear, or refused there, and never sent elsewhere',
    async (path) => {
      const answer = await plain(path)
      expect(answer.statusCode).not.toBeOneOf([301, 302, 303, 307, 308])
      expect(answer.headers.location).toBeUndefined()
      // A browser may not be told over plain HTTP to stay with TLS (RFC 6797 §7.2).
      expect(answer.headers['strict-transport-security']).toBeUndefined()
    },
  )

  test('TR-01: metadata and challenges of both ports name the one address behind TLS', async () => {
    const base = new URL(server.url).origin
    const metadata = '/.well-known/oauth-protected-resource/mcp'
    const tls = await ask(portOf(server.url), metadata)
    expect(tls).toMatchObject({ status: 200, text: (await plain(metadata)).text })
    expect(JSON.parse((await plain(metadata)).text).resource).toBe(`${base}/mcp`)
    expect((await plain('/mcp')).headers['www-authenticate']).toContain(`resource_metadata="${base}${metadata}"`)
  })

  test('OH-01: each port takes the names of both, and no other', async () => {
    for (const port of [portOf(server.url), portOf(server.clearUrl)]) {
      const host = `localhost:${port}`
      expect(await ask(portOf(server.url), '/health', { headers: { Host: host } })).toMatchObject({ status: 200 })
      expect((await plain('/health', { Host: host })).statusCode).toBe(200)
    }
    const elsewhere = { Host: 'evil.example' }
    expect(await ask(portOf(server.url), '/health', { headers: elsewhere })).toMatchObject({ status: 403 })
    expect((await plain('/health', elsewhere)).statusCode).toBe(403)
  })

  test('RL-08: the connections of both ports are counted as one', async () => {
    const few = { HTTPS_PORT: '0', MERLON_ADMIN_LISTENER: 'off', MERLON_LIMITS_CONNECTIONS_PER_ADDRESS_MAX: '2' }
    const small = await openTls(folder, { ...few, MERLON_STORE_FOLDER: join(folder, 'small') })
    const held = [portOf(small.url), portOf(small.clearUrl)].map((port) => connect(port, '127.0.0.1'))
    try {
      for (const socket of held) if (socket.connecting) await once(socket, 'connect')
      expect(await ask(portOf(small.url), '/health')).toBe('ECONNRESET')
      held[1]?.destroy()
      await vi.waitFor(async () => expect(await ask(portOf(small.url), '/health')).toMatchObject({ status: 200 }), {
        timeout: 10_000,
        interval: 20,
      })
    } finally {
      for (const socket of held) socket.destroy()
      await small.close()
    }
  })

  test('TR-01: started by command it says where it is, and stops with 0 when it is told to', async () => {
    const free = { MERLON_SERVER_PORT: '0', MERLON_ADMIN_PORT: '0', HTTPS_PORT: '0' }
    const files = { SSL_CERT_PATH: join(folder, 'cert.pem'), SSL_KEY_PATH: join(folder, 'key.pem') }
    const env = { ...process.env, ...free, ...files, MERLON_STORE_FOLDER: join(folder, 'command') }
    const child = spawn(process.execPath, [command, 'dev', '--project', clientProject], { env, stdio: 'pipe' })
    const exited = once(child, 'exit')
    let printed = ''
    child.stdout.setEncoding('utf8').on('data', (piece: string) => (printed += piece))
    try {
      await vi.waitFor(() => expect(printed).toContain('The first start made a key.'), {
        timeout: 30_000,
        interval: 20,
      })
      expect(printed).toMatch(
        /^Merlon serves https:\/\/127\.0\.0\.1:\d+\/mcp\nIn clear: http:\/\/127\.0\.0\.1:\d+\/mcp\nControl plane: https:\/\/127\.0\.0\.1:\d+\n/,
      )
      expect(await ask(portOf(/https:\S+/.exec(printed)?.[0]), '/ready')).toMatchObject({ status: 200 })
    } finally {
      child.kill('SIGTERM')
    }
    expect(await exited).toEqual([0, null])
  })

  test('TR-01: without an address that only this machine reaches, plain HTTP is refused beside TLS', async () => {
    const env = { HTTPS_PORT: '0', HOST: '0.0.0.0', MERLON_STORE_FOLDER: join(folder, 'other') }
    await expect(openTls(folder, env)).rejects.toThrow(/listens beyond loopback without TLS/)
  })

  test('TR-01: a port for TLS without a certificate stops the start', async () => {
    const env = { HTTPS_PORT: '0', SSL_CERT_PATH: '', SSL_KEY_PATH: '', MERLON_STORE_FOLDER: join(folder, 'other') }
    await expect(openTls(folder, env)).rejects.toThrow(/there is no certificate for it/)
  })

  test('TR-01: a port that is taken leaves the other closed too', async () => {
    const port = String(portOf(server.url))
    const env = { PORT: port, MERLON_SERVER_PORT: port, HTTPS_PORT: '0', MERLON_STORE_FOLDER: join(folder, 'other') }
    await expect(openTls(folder, env)).rejects.toThrow(
      `the MCP endpoint cannot listen on 127.0.0.1:${port}, which is in use; choose another with PORT or server.port`,
    )
  })
})
