import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import type { RequestOptions } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Server } from 'merlon'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { MockIssuer } from '../attack/mock-issuer.ts'
import { Authority, hasOpenssl, install, type Pair } from './certificates.ts'
import { ask, callOf, openTls, portOf } from './server.ts'

const shown = (pair: Pair | undefined): RequestOptions =>
  pair === undefined ? {} : { cert: readFileSync(pair.certificate), key: readFileSync(pair.key) }
const bearing = (call: ReturnType<typeof callOf>, pair: Pair | undefined, more: RequestOptions = {}) => ({
  ...call,
  ...shown(pair),
  ...more,
})

describe.skipIf(!hasOpenssl)('client certificates', () => {
  let folder: string
  let ours: Authority
  let others: Authority
  let good: Pair
  let expired: Pair
  let revoked: Pair
  let own: Pair
  let serving: Pair

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'merlon-clients-'))
    ours = new Authority(folder, 'ours')
    others = new Authority(folder, 'others')
    good = ours.issue('client')
    expired = ours.issue('client', { days: -1 })
    revoked = ours.issue('client')
    own = { certificate: others.certificate, key: others.key }
    // Of the right authority, but for a server.
    serving = ours.issue('server')
    install(serving, { certificate: join(folder, 'cert.pem'), key: join(folder, 'key.pem') })
    ours.revoke(revoked)
    ours.list(join(folder, 'crl.pem'))
    copyFileSync(ours.certificate, join(folder, 'clients.pem'))
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  const asking = (demand: string, data: string) => ({
    MERLON_TLS_CLIENT_CERTIFICATE: demand,
    MERLON_TLS_CLIENT_CA_PATH: join(folder, 'clients.pem'),
    MERLON_TLS_CLIENT_CRL_PATH: join(folder, 'crl.pem'),
    MERLON_STORE_FOLDER: join(folder, data),
  })
  const records = (data: string): readonly Record<string, unknown>[] =>
    readFileSync(join(folder, data, 'audit.jsonl'), 'utf8')
      .split('\n')
      .filter((line) => line.includes('CERTIFICATE_REFUSED'))
      .map((line) => JSON.parse(line))

  describe('that are required', () => {
    let server: Server
    let call: ReturnType<typeof callOf>

    beforeAll(async () => {
      server = await openTls(folder, asking('required', 'required'))
      call = callOf('tools/call', { name: 'add', arguments: { left: 1, right: 2 } }, server.firstStart?.key ?? '')
    })
    afterAll(() => server.close())

    test('TR-02: open the connection to whoever has one, and their key then counts as ever', async () => {
      expect(await ask(portOf(server.url), '/mcp', bearing(call, good))).toMatchObject({ status: 200 })
      const wrong = callOf('tools/list', {}, 'merlon_wrong')
      expect(await ask(portOf(server.url), '/mcp', bearing(wrong, good))).toMatchObject({ status: 401 })
      expect(await ask(portOf(server.control.url), '/health', shown(good))).toMatchObject({ status: 200 })
    })

    test.each(['TLSv1.2', 'TLSv1.3'] as const)(
      'TR-02: over %s whoever shows none, or not a good one, is closed before a byte of HTTP is read',
      async (maxVersion) => {
        const cases = [
          ['certificate-missing', undefined],
          ['certificate-untrusted', own],
          ['certificate-untrusted', others.issue('client')],
          ['certificate-untrusted', serving],
          ['certificate-expired', expired],
          ['certificate-revoked', revoked],
        ] as const
        for (const [reason, pair] of cases) {
          const before = records('required').length
          const answers = [
            await ask(portOf(server.url), '/mcp', bearing(call, pair, { maxVersion })),
            await ask(portOf(server.url), '/health', { ...shown(pair), maxVersion }),
            await ask(portOf(server.control.url), '/health', { ...shown(pair), maxVersion }),
          ]
          for (const answer of answers) expect(answer, reason).toBeTypeOf('string')
          await vi.waitFor(() => expect(records('required').length).toBe(before + 3), { timeout: 10_000 })
          expect(records('required').at(-1)).toMatchObject({ type: 'auth', success: false, reason, ip: '127.0.0.1' })
        }
        const calls = readFileSync(join(folder, 'required', 'audit.jsonl'), 'utf8').match(/"tool":"add"/g) ?? []
        // The one call of whoever had a certificate.
        expect(calls.length).toBe(1)
      },
    )

    test('TR-02: what is revoked or trusted from now on holds for the next connection', async () => {
      const [withdrawn, late] = [ours.issue('client'), others.issue('client')]
      expect(await ask(portOf(server.url), '/health', shown(withdrawn))).toMatchObject({ status: 200 })
      ours.revoke(withdrawn)
      ours.list(join(folder, 'crl.pem'))
      await vi.waitFor(
        async () => expect(await ask(portOf(server.url), '/health', shown(withdrawn))).toBeTypeOf('string'),
        { timeout: 15_000, interval: 100 },
      )
      expect(await ask(portOf(server.url), '/health', shown(good))).toMatchObject({ status: 200 })
      expect(await ask(portOf(server.url), '/health', shown(late))).toBeTypeOf('string')
    })

    test('TR-02: several authorities have a list each, in one file', async () => {
      const [theirs, gone] = [others.issue('client'), others.issue('client')]
      others.revoke(gone)
      const lists = [ours, others].map((authority, at) => {
        const path = join(folder, `list-${at}.pem`)
        authority.list(path)
        return readFileSync(path, 'utf8')
      })
      writeFileSync(join(folder, 'crl.pem'), lists.join(''))
      const authorities = [ours, others].map(({ certificate }) => readFileSync(certificate, 'utf8'))
      writeFileSync(join(folder, 'clients.pem'), authorities.join(''))
      await vi.waitFor(
        async () => expect(await ask(portOf(server.url), '/health', shown(theirs))).toMatchObject({ status: 200 }),
        { timeout: 15_000, interval: 100 },
      )
      expect(await ask(portOf(server.url), '/health', shown(good))).toMatchObject({ status: 200 })
      for (const pair of [gone, revoked])
        expect(await ask(portOf(server.url), '/health', shown(pair))).toBeTypeOf('string')
      copyFileSync(ours.certificate, join(folder, 'clients.pem'))
      ours.list(join(folder, 'crl.pem'))
    })

    test('TR-02: a list past its next update refuses everybody', async () => {
      ours.list(join(folder, 'crl.pem'), { ended: true })
      await vi.waitFor(async () => expect(await ask(portOf(server.url), '/health', shown(good))).toBeTypeOf('string'), {
        timeout: 15_000,
        interval: 100,
      })
      await vi.waitFor(() => expect(records('required').at(-1)).toMatchObject({ reason: 'certificate-list' }), {
        timeout: 15_000,
      })
      ours.list(join(folder, 'crl.pem'))
    })
  })

  describe('that are requested', () => {
    let server: Server
    let issuer: MockIssuer

    beforeAll(async () => {
      issuer = await MockIssuer.open()
      const trusted = { tenant: { value: 'default' }, allowPrivateNetwork: true, dangerouslyAllowHttp: true }
      const config = { identity: { issuers: [{ issuer: issuer.url, ...trusted }] } }
      server = await openTls(folder, asking('request', 'requested'), { config })
    })
    afterAll(async () => {
      await server.close()
      await issuer.close()
    })

    test('TR-02: need not be shown, and one that is not good is refused all the same', async () => {
      expect(await ask(portOf(server.url), '/health')).toMatchObject({ status: 200 })
      expect(await ask(portOf(server.url), '/health', shown(good))).toMatchObject({ status: 200 })
      for (const pair of [own, expired, revoked])
        expect(await ask(portOf(server.url), '/health', shown(pair))).toBeTypeOf('string')
    })

    test('RS-13: a token that is bound to one is good over its connection alone', async () => {
      const other = ours.issue('client')
      const { X509Certificate, hash } = await import('node:crypto')
      const thumbprint = (pair: Pair) =>
        hash('sha256', new X509Certificate(readFileSync(pair.certificate)).raw, 'base64url')
      const bound = issuer.token(server.url, { cnf: { 'x5t#S256': thumbprint(good) } })
      const status = async (pair: Pair | undefined, token = bound, scheme = 'Bearer') => {
        const answer = await ask(portOf(server.url), '/mcp', bearing(callOf('tools/list', {}, token, scheme), pair))
        return typeof answer === 'string' ? answer : answer.status
      }
      expect(await status(good)).toBe(200)
      // Verified before, and still asked for every time.
      expect(await status(undefined)).toBe(401)
      expect(await status(other)).toBe(401)
      expect(await status(good, bound, 'DPoP')).toBe(401)
      expect(await status(good)).toBe(200)
      expect(await status(good, issuer.token(server.url))).toBe(200)
      const metadata = await ask(portOf(server.url), '/.well-known/oauth-protected-resource/mcp')
      expect(metadata).toMatchObject({
        text: expect.stringContaining('"tls_client_certificate_bound_access_tokens":true'),
      })
    })
  })

  test.each([
    ['MERLON_TLS_CLIENT_CA_PATH', 'key.pem', /holds no certificate; it takes PEM/],
    ['MERLON_TLS_CLIENT_CA_PATH', 'nothing.pem', /cannot be read/],
    ['MERLON_TLS_CLIENT_CRL_PATH', 'cert.pem', /holds no list of revoked certificates; it takes a CRL in PEM/],
  ])('TR-02: %s that is no such file (%s) stops the start', async (name, file, says) => {
    const env = { ...asking('required', 'refused'), [name]: join(folder, file) }
    await expect(openTls(folder, env)).rejects.toThrow(says)
  })
})
