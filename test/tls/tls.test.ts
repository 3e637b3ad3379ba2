import { once } from 'node:events'
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { get, type RequestOptions, request } from 'node:https'
import { connect as connectPlain } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect } from 'node:tls'
import type { Server } from 'merlon'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { Authority, hasOpenssl, install, type Pair } from './certificates.ts'
import { ask, callOf, fingerprint, openTls, portOf, type Told } from './server.ts'

describe.skipIf(!hasOpenssl)('TLS in the process', () => {
  const told: Told[] = []
  let folder: string
  let ours: Authority
  /** Where the server looks, and what it started with. */
  let place: Pair
  let pair: Pair
  let server: Server
  let port: number

  const options = (over: RequestOptions = {}): RequestOptions => ({
    host: '127.0.0.1',
    port,
    path: '/health',
    ca: readFileSync(ours.certificate),
    agent: false,
    ...over,
  })

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'merlon-tls-'))
    ours = new Authority(folder, 'ours')
    place = { certificate: join(folder, 'cert.pem'), key: join(folder, 'key.pem') }
    pair = ours.issue('server')
    install(pair, place)
    server = await openTls(folder, { MERLON_LIMITS_HEARTBEAT_MS: '500' }, { told })
    port = portOf(server.url)
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

  test.each<[string, () => void, RegExp]>([
    [
      'a key that others can read',
      () => chmodSync(place.key, 0o644),
      /^others can read the key file \S+key\.pem; run: chmod 600 \S+key\.pem$/,
    ],
    [
      'a key that the group can read',
      () => chmodSync(place.key, 0o640),
      /^others can read the key file \S+key\.pem; run: chmod 600 \S+key\.pem$/,
    ],
    [
      'the key of another certificate',
      () => install({ certificate: pair.certificate, key: ours.issue('server').key }, place),
      /cannot be used together; name the key that the certificate was made for/,
    ],
    [
      'a certificate that has ended',
      () => install(ours.issue('server', { days: -1 }), place),
      /^the certificate \S+cert\.pem ended on \d{4}-\d\d-\d\d; renew it$/,
    ],
    ['a certificate that is none', () => writeFileSync(place.certificate, 'x'), /holds no certificate; it takes PEM$/],
    ['a certificate that is not there', () => rmSync(place.certificate), /^the file \S+cert\.pem cannot be read; /],
  ])('TR-02: %s stops the start, and the error says what to do', async (_what, spoil, says) => {
    try {
      spoil()
      await expect(openTls(folder, { MERLON_STORE_FOLDER: join(folder, 'other') })).rejects.toThrow(says)
    } finally {
      install(pair, place)
    }
  })

  test('TR-02: a certificate is renewed under twenty open streams, and loses none', async () => {
    const streams = await Promise.all(
      Array.from({ length: 20 }, async () => {
        const { body, ...call } = callOf(
          'subscriptions/listen',
          { notifications: { toolsListChanged: true } },
          server.firstStart?.key ?? '',
        )
        const listen = request(options({ path: '/mcp', ...call })).end(body)
        const [stream] = await once(listen, 'response')
        expect(stream.statusCode).toBe(200)
        const heard = { stream, bytes: 0, ended: false }
        stream.on('data', (piece: Buffer) => (heard.bytes += piece.length))
        stream.on('close', () => (heard.ended = true))
        await vi.waitFor(() => expect(heard.bytes).toBeGreaterThan(0), { timeout: 10_000 })
        return heard
      }),
    )
    const before = await fingerprint(port)
    install(ours.issue('server'), place)
    await vi.waitFor(async () => expect(await fingerprint(port)).not.toBe(before), { timeout: 15_000, interval: 100 })
    expect(await fingerprint(portOf(server.control.url))).toBe(await fingerprint(port))
    // Each still hears the heartbeat.
    const heard = streams.map(({ bytes }) => bytes)
    await vi.waitFor(() => expect(streams.every(({ bytes }, at) => bytes > heard[at]!)).toBe(true), {
      timeout: 20_000,
      interval: 50,
    })
    expect(streams.filter(({ ended }) => ended)).toEqual([])
    for (const { stream } of streams) stream.destroy()
  })

  test('TR-02: a renewal that cannot be used is told, and the old certificate stays', async () => {
    const before = await fingerprint(port)
    const bad = ours.issue('server', { days: -1 })
    told.length = 0
    install(bad, place)
    await vi.waitFor(() => expect(told).toContainEqual({ level: 'error', text: expect.stringContaining('ended on') }), {
      timeout: 15_000,
      interval: 50,
    })
    expect(told.map(({ text }) => text)).toContainEqual(expect.stringMatching(/^kept the certificate as it was: /))
    expect(await fingerprint(port)).toBe(before)
    install(ours.issue('server'), place)
    await vi.waitFor(async () => expect(await fingerprint(port)).not.toBe(before), { timeout: 15_000, interval: 100 })
  })

  test('OH-01: another name, in SNI and Host alike, is refused as over plain HTTP', async () => {
    const elsewhere = { servername: 'evil.example', headers: { Host: 'evil.example' } }
    expect(await ask(port, '/health', elsewhere)).toMatchObject({
      status: 403,
      text: expect.stringContaining('HOST_REFUSED'),
    })
  })
})

describe.skipIf(!hasOpenssl)('a certificate that ends under a running server', () => {
  test('TR-02: makes the port for TLS not ready, and not the one in clear', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'merlon-ends-'))
    const clock = { offset: 0 }
    install(new Authority(folder, 'ours').issue('server'), {
      certificate: join(folder, 'cert.pem'),
      key: join(folder, 'key.pem'),
    })
    const server = await openTls(folder, { HTTPS_PORT: '0', MERLON_ADMIN_LISTENER: 'off' }, { clock })
    try {
      const ready = async () => [
        ((await ask(portOf(server.url), '/ready')) as { status: number }).status,
        (await fetch(new URL('/ready', server.clearUrl))).status,
        ((await ask(portOf(server.url), '/health')) as { status: number }).status,
      ]
      expect(await ready()).toEqual([200, 200, 200])
      clock.offset = 3 * 86_400_000
      // So long after it was last asked, the store counts as lost until it has answered again.
      await vi.waitFor(async () => expect(await ready()).toEqual([503, 200, 200]), { timeout: 15_000, interval: 50 })
    } finally {
      await server.close()
      rmSync(folder, { recursive: true, force: true })
    }
  })
})
