import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Server } from 'merlon'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Authority, hasOpenssl, install } from './certificates.ts'
import { openTls, portOf, run } from './server.ts'

const testssl = ['testssl.sh', 'testssl'].find((name) => spawnSync(name, ['--version']).status === 0)
if (testssl === undefined) console.warn('the scan with testssl is skipped: it is not installed')
const hasCurl = spawnSync('curl', ['--version']).status === 0
if (!hasCurl) console.warn('the calls with curl are skipped: it is not installed')

/** TLS as a client of another make sees it. */
describe.skipIf(!hasOpenssl)('what TLS offers', () => {
  let folder: string
  let servers: { readonly name: string; readonly server: Server; readonly authority: Authority }[]

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'merlon-scan-'))
    servers = []
    const authority = new Authority(folder, 'ours')
    for (const kind of ['ec', 'rsa'] as const) {
      install(authority.issue('server', { kind }), {
        certificate: join(folder, 'cert.pem'),
        key: join(folder, 'key.pem'),
      })
      servers.push({
        name: kind,
        server: await openTls(folder, { MERLON_STORE_FOLDER: join(folder, kind) }),
        authority,
      })
    }
  })
  afterAll(async () => {
    for (const { server } of servers) await server.close()
    rmSync(folder, { recursive: true, force: true })
  })

  const port = (kind: string) => portOf(servers.find(({ name }) => name === kind)?.server.url)
  const handshake = async (kind: string, args: readonly string[]) => {
    const { text } = await run('openssl', ['s_client', '-connect', `127.0.0.1:${port(kind)}`, ...args])
    const [, how, version, cipher] = /^(New|Reused), ([^,]+), Cipher is (\S+)$/m.exec(text) ?? []
    return { how, version, cipher, text }
  }
  const weak = 'ALL:COMPLEMENTOFALL:@SECLEVEL=0'

  test.each(['-tls1', '-tls1_1'])('TR-02: openssl cannot open %s, however much it allows', async (version) => {
    for (const kind of ['ec', 'rsa']) {
      const { cipher, text } = await handshake(kind, [version, '-cipher', weak])
      expect(cipher).toBe('(NONE)')
      expect(text).toMatch(/alert protocol version/)
    }
  })

  test('TR-02: of all ciphers that openssl knows those with forward secrecy and an authenticated mode are taken', async () => {
    const { text } = await run('openssl', ['ciphers', '-s', '-tls1_2', weak])
    const known = text.trim().split(':')
    expect(known.length).toBeGreaterThan(20)
    const taken = new Set<string>()
    for (const kind of ['ec', 'rsa']) {
      // What is taken is left out of the next offer, until nothing of it is taken.
      for (let offer = known; offer.length > 0; ) {
        const { cipher = '(NONE)' } = await handshake(kind, ['-tls1_2', '-cipher', `${offer.join(':')}:@SECLEVEL=0`])
        if (cipher === '(NONE)') break
        taken.add(cipher)
        offer = offer.filter((name) => name !== cipher)
      }
    }
    expect([...taken].sort()).toEqual([
      'ECDHE-ECDSA-AES128-GCM-SHA256',
      'ECDHE-ECDSA-AES256-GCM-SHA384',
      'ECDHE-ECDSA-CHACHA20-POLY1305',
      'ECDHE-RSA-AES128-GCM-SHA256',
      'ECDHE-RSA-AES256-GCM-SHA384',
      'ECDHE-RSA-CHACHA20-POLY1305',
    ])
  })

  test('TR-02: of TLS 1.3 the ciphers and groups are those of RFC 8446 without finite fields', async () => {
    expect(await handshake('ec', ['-tls1_3', '-ciphersuites', 'TLS_AES_128_CCM_SHA256'])).toMatchObject({
      cipher: '(NONE)',
    })
    expect(await handshake('ec', ['-tls1_3', '-groups', 'ffdhe2048:ffdhe3072'])).toMatchObject({ cipher: '(NONE)' })
    expect(await handshake('ec', ['-tls1_3', '-groups', 'P-256'])).toMatchObject({ version: 'TLSv1.3' })
    expect(await handshake('ec', ['-tls1_3', '-groups', 'X25519'])).toMatchObject({ version: 'TLSv1.3' })
  })

  test.each(['-tls1_2', '-tls1_3'])('TR-02: a session over %s is not resumed', async (version) => {
    const file = join(folder, `session${version}`)
    // A whole exchange: in TLS 1.3 what resumes a session comes with the answer.
    const input = 'GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'
    const first = ['s_client', '-connect', `127.0.0.1:${port('ec')}`, version, '-ign_eof', '-sess_out', file]
    expect((await run('openssl', first, input)).text).toMatch(/^New, /m)
    expect(await handshake('ec', [version, '-sess_in', file])).toMatchObject({ how: 'New' })
  })

  test('TR-02: another protocol than HTTP/1.1 is refused, and a server of another name is not invented', async () => {
    expect((await handshake('ec', ['-alpn', 'h2'])).text).toMatch(/alert no application protocol/)
    expect((await handshake('ec', ['-alpn', 'h2,http/1.1'])).text).toMatch(/ALPN protocol: http\/1\.1/)
    const other = ['-servername', 'evil.example', '-verify_hostname', 'evil.example', '-verify_return_error']
    const { text } = await handshake('ec', [...other, '-CAfile', servers[0]!.authority.certificate])
    expect(text).toMatch(/hostname mismatch/)
  })

  test.skipIf(!hasCurl)('TR-23: curl trusts the certificate, and finds each page where it is', async () => {
    const at = (kind: string) => `https://localhost:${port(kind)}`
    for (const kind of ['ec', 'rsa']) {
      const trusting = ['-sS', '--cacert', servers[0]!.authority.certificate]
      expect(await run('curl', [...trusting, `${at(kind)}/health`])).toEqual({ code: 0, text: '{"status":"ok"}' })
      const elsewhere = ['-w', '%{http_code}', '-o', join(folder, 'said'), '-H', 'Host: evil.example']
      expect(await run('curl', [...trusting, ...elsewhere, `${at(kind)}/health`])).toEqual({ code: 0, text: '403' })
      // 35: no TLS. 60: a certificate that is not trusted.
      expect((await run('curl', ['-sS', `${at(kind)}/health`])).code).toBe(60)
      expect((await run('curl', ['-sS', '--tls-max', '1.1', '-k', `${at(kind)}/health`])).code).toBe(35)
    }
  })

  test.skipIf(testssl === undefined)('TR-02: testssl finds nothing', { timeout: 400_000 }, async () => {
    const report = join(folder, 'scan.json')
    const what = ['-p', '-s', '-f', '-U', '--warnings', 'off', '--quiet', '--color', '0', '--jsonfile', report]
    await run(testssl ?? '', [...what, `127.0.0.1:${port('ec')}`])
    const findings: readonly { id: string; severity: string; finding: string }[] = JSON.parse(
      readFileSync(report, 'utf8'),
    )
    expect(findings.length).toBeGreaterThan(30)
    const own = new Set(['engine_problem'])
    expect(findings.filter(({ id, severity }) => !['OK', 'INFO'].includes(severity) && !own.has(id))).toEqual([])
  })
})
