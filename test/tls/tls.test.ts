import { execFileSync, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { get, type RequestOptions, request } from 'node:https'
import { connect as connectPlain } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect, type TLSSocket } from 'node:tls'
import { openServer, type Server } from 'merlon'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'

const hasOpenssl = spawnSync('openssl', ['version']).status === 0
if (!hasOpenssl && process.env['REQUIRE_SERVICES'] === '1')
  throw new Error('the tests of TLS need openssl to make a certificate')
if (!hasOpenssl) console.warn('the tests of TLS are skipped: there is no openssl to make a certificate with')

describe.skipIf(!hasOpenssl)('TLS in the process', () => {
  const project = join(import.meta.dirname, '../client/project')
  let folder: string
  let server: Server
  let port: number

  /** Puts a new certificate for localhost in the folder. */
  const certify = () => {
    const subject = [
      '-subj',
      '/CN=localhost',
      '-addext',
      'subjectAltName=DNS:localhost,IP:127.0.0.1',
      '-days',
      '2',
      '-nodes',
    ]
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-keyout', join(folder, 'key.pem')]
    execFileSync('openssl', ['req', '-x509', ...key, ...subject, '-out', join(folder, 'cert.pem')], { stdio: 'ignore' })
    chmodSync(join(folder, 'key.pem'), 0o600)
  }
  const open = (env: Record<string, string> = {}) =>
    openServer({
      project,
      env: {
        MERLON_SERVER_PORT: '0',
        MERLON_STORE_FOLDER: join(folder, 'data'),
        SSL_CERT_PATH: join(folder, 'cert.pem'),
        SSL_KEY_PATH: join(folder, 'key.pem'),
        ...env,
      },
      log: { info: () => undefined, warn: () => undefined, error: () => undefined },
    })
  const options = (over: RequestOptions = {}): RequestOptions => ({
    host: '127.0.0.1',
    port,
    path: '/health',
    ca: readFileSync(join(folder, 'cert.pem')),
    agent: false,
    ...over,
  })

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'merlon-tls-'))
    certify()
    server = await open()
    port = Number(new URL(server.url).port)
  })
  afterAll(async () => {
    await server.close()
    rmSync(folder, { recursive: true, force: true })
  })

  test('TR-23: answers over TLS, and says that it stays so', async () => {
    expect(server.url).toMatch(/^https:\/\/127\.0\.0\.1:\d+\/mcp$/)
    const [answer] = await once(get(options()), 'response')
    expect(answer.statusCode).toBe(200)
    expect(answer.headers['strict-transport-security']).toMatch(/^max-age=\d{8}/)
    answer.resume()
  })

  test('TR-23: so does the control plane at its own address', async () => {
    const url = new URL(server.control.url ?? '')
    expect(url.protocol).toBe('https:')
    const [answer] = await once(get(options({ port: url.port, path: '/api/users' })), 'response')
    expect(answer.statusCode).toBe(401)
    expect(answer.headers['strict-transport-security']).toMatch(/^max-age=\d{8}/)
    answer.resume()
  })

  test.each(['TLSv1', 'TLSv1.1'] as const)('TR-02: refuses %s', async (version) => {
    // The client is told to allow it, so that the refusal is the server's.
    const socket = connect({
      port,
      host: '127.0.0.1',
      minVersion: version,
      maxVersion: version,
      ciphers: 'DEFAULT@SECLEVEL=0',
      rejectUnauthorized: false,
    })
    const [error] = await once(socket, 'error')
    expect(error.message).toMatch(/alert protocol version|unsupported protocol/)
  })

  test.each(['TLSv1.2', 'TLSv1.3'] as const)('TR-02: speaks %s, and does not negotiate again', async (version) => {
    const socket = connect({
      port,
      host: '127.0.0.1',
      minVersion: version,
      maxVersion: version,
      rejectUnauthorized: false,
    })
    await once(socket, 'secureConnect')
    expect(socket.getProtocol()).toBe(version)
    if (version === 'TLSv1.2') {
      const [error] = await Promise.all([
        once(socket, 'error').then(([first]) => first),
        socket.renegotiate({}, () => undefined),
      ])
      expect(error.message).toMatch(/no renegotiation|handshake/i)
    }
    socket.destroy()
  })

  test('TR-03: plain HTTP is closed, and not sent elsewhere', async () => {
    const socket = connectPlain(port, '127.0.0.1')
    const heard: Buffer[] = []
    socket.on('data', (chunk) => heard.push(chunk)).on('error', () => undefined)
    socket.end('GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n')
    await once(socket, 'close')
    expect(Buffer.concat(heard).toString('latin1')).not.toContain('HTTP/')
  })

  test('TR-02: a key that others can read stops the start', async () => {
    chmodSync(join(folder, 'key.pem'), 0o644)
    await expect(open({ MERLON_STORE_FOLDER: join(folder, 'other') })).rejects.toThrow(
      /others can read the key file .*chmod 600/,
    )
    chmodSync(join(folder, 'key.pem'), 0o600)
  })

  test('TR-02: a certificate is renewed without dropping an open stream', async () => {
    const key = server.firstStart?.key
    const meta = {
      'io.modelcontextprotocol/protocolVersion': '2026-07-28',
      'io.modelcontextprotocol/clientCapabilities': {},
    }
    const listen = request(
      options({
        path: '/mcp',
        method: 'POST',
        headers: {
          Authorization: `Bearer ${key}`,
          'Content-Type': 'application/json',
          Accept: 'application/json, text/event-stream',
          'MCP-Protocol-Version': '2026-07-28',
          'Mcp-Method': 'subscriptions/listen',
        },
      }),
    ).end(
      JSON.stringify({
        jsonrpc: '2.0',
        id: 1,
        method: 'subscriptions/listen',
        params: { _meta: meta, notifications: { toolsListChanged: true } },
      }),
    )
    const [stream] = await once(listen, 'response')
    expect(stream.statusCode).toBe(200)
    let ended = false
    stream.on('close', () => {
      ended = true
    })
    const [acknowledged] = await once(stream, 'data')
    expect(String(acknowledged)).toContain('acknowledged')
    const fingerprint = async (of = port): Promise<string> => {
      const socket: TLSSocket = connect({ port: of, host: '127.0.0.1', rejectUnauthorized: false })
      await once(socket, 'secureConnect')
      const { fingerprint256 } = socket.getPeerCertificate()
      socket.destroy()
      return fingerprint256
    }
    const before = await fingerprint()
    certify()
    await vi.waitFor(async () => expect(await fingerprint()).not.toBe(before), { timeout: 15_000, interval: 100 })
    expect(await fingerprint(Number(new URL(server.control.url ?? '').port))).toBe(await fingerprint())
    expect(ended).toBe(false)
    stream.destroy()
  })
})
