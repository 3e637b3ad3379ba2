import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { openServer, type Server } from '../../packages/merlon/src/app.ts'
import { linkModules } from '../transcript/project.ts'

const root = join(import.meta.dirname, '../..')
const bin = join(root, 'packages/merlon/bin/merlon.cjs')

interface Printed {
  readonly rules: number
  readonly failed: boolean
  readonly findings: readonly { readonly rule: string; readonly severity: string; readonly says: string }[]
}

let project = ''

beforeEach(() => {
  project = mkdtempSync(join(tmpdir(), 'merlon-audit-'))
  cpSync(join(root, 'examples/secure-agent'), project, {
    recursive: true,
    filter: (path) => !/(?:node_modules|dist|\.merlon|\.env)$/.test(path),
  })
  linkModules(project)
})
afterEach(() => rmSync(project, { recursive: true, force: true }))

/** Runs `merlon` in the project, in an environment of its own. */
function merlon(words: readonly string[], env: Record<string, string> = {}) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [bin, ...words], {
    cwd: project,
    encoding: 'utf8',
    timeout: 50_000,
    env: { PATH: '/usr/bin:/bin', ...env },
  })
  return { status, stdout, stderr }
}

/** The same without waiting in this process, which may be the one that serves. */
async function merlonBeside(words: readonly string[], env: Record<string, string> = {}) {
  const child = spawn(process.execPath, [bin, ...words], {
    cwd: project,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: '/usr/bin:/bin', ...env },
  })
  const said = Promise.all([child.stdout, child.stderr].map((stream) => stream.setEncoding('utf8').toArray()))
  const [status] = await once(child, 'close')
  const [stdout = [], stderr = []] = await said
  return { status: status as number | null, stdout: stdout.join(''), stderr: stderr.join('') }
}

const audit = (env: Record<string, string> = {}): Printed =>
  JSON.parse(merlon(['config', 'audit', '--json'], env).stdout) as Printed

const grave = ({ findings }: Printed) =>
  findings.filter(({ severity }) => severity === 'fatal' || severity === 'high').map(({ rule }) => rule)

describe('SC-02: the project as `npm create merlon` gives it', () => {
  test('has nothing grave', () => {
    const { status, stdout, stderr } = merlon(['config', 'audit', '--json'])
    expect(stderr).toBe('')
    const printed = JSON.parse(stdout) as Printed
    expect(grave(printed)).toEqual([])
    expect(printed.failed).toBe(false)
    expect(status).toBe(0)
  })

  test('fails where a finding is as grave as was asked for', () => {
    const { status, stdout } = merlon(['config', 'audit', '--fail-on', 'low'])
    expect(stdout).toContain('CA-508 Signed heads of the audit log are kept elsewhere.')
    expect(status).toBe(1)
  })

  test('has a command of its own for that, and one for its tests', () => {
    const { scripts } = JSON.parse(readFileSync(join(project, 'package.json'), 'utf8'))
    expect(scripts['audit:security']).toBe('merlon config audit')
    expect(scripts['test:security']).toBe('node --test "test/security.test.ts"')
  })
})

describe('SC-02: a project with something wrong', () => {
  test('is told it all at once, by the numbers of the rules', () => {
    writeFileSync(
      join(project, 'merlon.config.json'),
      JSON.stringify({
        server: { host: '0.0.0.0' },
        cors: { allowedOrigins: ['*'] },
        rateLimit: { enabled: false },
        log: { level: 'trace' },
      }),
    )
    writeFileSync(join(project, '.env'), 'ENCRYPTION_KEY=your-32-byte-encryption-key-here\n', { mode: 0o644 })
    chmodSync(join(project, '.env'), 0o644)
    const { status, stdout } = merlon(['config', 'audit', '--json'], { NODE_OPTIONS: '--insecure-http-parser' })
    expect(grave(JSON.parse(stdout) as Printed)).toEqual([
      ...['CA-003', 'CA-101', 'CA-106', 'CA-602', 'CA-702', 'CA-401', 'CA-505'],
    ])
    expect(stdout).not.toContain('your-32-byte')
    expect(status).toBe(1)
  })

  test('is told of secrets that git follows and of files that others can change', () => {
    writeFileSync(join(project, '.env'), 'PORT=4100\n', { mode: 0o600 })
    execFileSync('git', ['init', '-q'], { cwd: project })
    execFileSync('git', ['add', '-f', '.env'], { cwd: project })
    chmodSync(join(project, 'src'), 0o777)
    mkdirSync(join(project, '.merlon'))
    chmodSync(join(project, '.merlon'), 0o777)
    expect(grave(audit())).toEqual(['CA-603', 'CA-610', 'CA-611'])
  })

  test('is told of a tool that does not load', () => {
    writeFileSync(join(project, 'src/tools/broken.ts'), 'export default 1\n')
    expect(grave(audit())).toEqual(['CA-801'])
  })

  test('is printed as SARIF for code scanning', () => {
    writeFileSync(join(project, 'merlon.config.json'), '{\n  "log": { "level": "trace" }\n}\n')
    const { status, stdout } = merlon(['config', 'audit', '--sarif'])
    const { version, runs } = JSON.parse(stdout)
    expect(version).toBe('2.1.0')
    const { results } = runs[0]
    const found = results.find((result: { ruleId: string }) => result.ruleId === 'CA-505')
    expect(found.locations[0].physicalLocation).toEqual({
      artifactLocation: { uri: 'merlon.config.json' },
      region: { startLine: 2 },
    })
    expect(status).toBe(1)
  })
})

describe('the command line', () => {
  test.each([
    [['--fail-on', 'worse']],
    [['--live', 'ftp://mcp.example']],
    [['--live', 'http://user:password@mcp.example']],
    [['--json', '--sarif']],
    [['--key-file', 'key.txt']],
    [['--key', 'mrl_']],
  ])('%j is refused with 2', (words) => {
    const { status, stdout, stderr } = merlon(['config', 'audit', ...words])
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' })
    expect(stderr).toMatch(/^merlon: .*\nmerlon: hint: /)
    expect(stderr).not.toContain('password@')
  })

  test('a server that is not there is told as such', () => {
    const { status, stderr } = merlon(['config', 'audit', '--live', 'http://127.0.0.1:1/mcp'])
    expect(stderr).toContain('nobody answers at http://127.0.0.1:1/mcp')
    expect(status).toBe(1)
  })
})

describe('SC-02, SC-05: a start', () => {
  test.each([
    [
      { NODE_OPTIONS: '--insecure-http-parser' },
      'CA-702 HTTP is read strictly: --insecure-http-parser reads HTTP leniently',
    ],
    [
      { NODE_TLS_REJECT_UNAUTHORIZED: '0' },
      'CA-703 Certificates of others are looked at: env:NODE_TLS_REJECT_UNAUTHORIZED switches the check of certificates off',
    ],
    [
      { NODE_OPTIONS: '--tls-keylog=/dev/null' },
      'CA-704 The keys of TLS connections are written nowhere: --tls-keylog writes what TLS keeps secret',
    ],
  ])('with %j is refused, by the number of the rule', (env, says) => {
    const { status, stdout, stderr } = merlon(['start'], { MERLON_SERVER_PORT: '0', ...env })
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' })
    expect(stderr).toContain(`merlon: ${says}\nmerlon: hint: `)
  })

  test('with settings that are refused says the numbers of their rules', () => {
    const config = { server: { host: '0.0.0.0' }, cors: { allowedOrigins: ['*'] }, endpoint: '/mcp' }
    writeFileSync(join(project, 'merlon.config.json'), JSON.stringify(config))
    const { status, stdout, stderr } = merlon(['start'], { ENCRYPTION_KEY: 'secret-api-key' })
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' })
    expect(stderr.match(/CA-[0-9]+/g)).toEqual(['CA-106', 'CA-101', 'CA-003'])
    expect(stderr).toContain('endpoint: there is no such setting')
    expect(stderr).not.toContain('secret-api-key')
  })

  test('with such a variable in .env is refused too', () => {
    writeFileSync(join(project, '.env'), 'NODE_TLS_REJECT_UNAUTHORIZED=0\n', { mode: 0o600 })
    const { status, stderr } = merlon(['start'], { MERLON_SERVER_PORT: '0' })
    expect(stderr).toContain('CA-703')
    expect(status).toBe(1)
  })

  test('of `dev` is warned, and goes on', async () => {
    const child = spawn(process.execPath, [bin, 'dev'], {
      cwd: project,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH: '/usr/bin:/bin', MERLON_SERVER_PORT: '0', NODE_TLS_REJECT_UNAUTHORIZED: '0' },
    })
    const errors = child.stderr.setEncoding('utf8').toArray()
    const ended = once(child, 'exit')
    for await (const text of child.stdout.setEncoding('utf8')) if (String(text).includes('Merlon serves')) break
    child.stdout.resume()
    child.kill('SIGTERM')
    expect(await ended).toEqual([0, null])
    expect((await errors).join('')).toContain('merlon: warning: CA-703')
  })
})

describe('SC-02: a running server, asked from outside', () => {
  let folder = ''
  let server: Server
  let key = ''

  const open = (env: Record<string, string> = {}) =>
    openServer({
      project: join(root, 'test/client/project'),
      env: { MERLON_SERVER_PORT: '0', MERLON_STORE_FOLDER: join(folder, 'data'), ...env },
      log: { info: () => undefined, warn: () => undefined, error: () => undefined },
    })

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'merlon-live-'))
    server = await open()
    key = server.firstStart?.key ?? ''
    writeFileSync(join(folder, 'key'), `${key}\n`, { mode: 0o600 })
  })
  afterAll(async () => {
    await server.close()
    rmSync(folder, { recursive: true, force: true })
  })

  test('refuses all that is tried, with a key and without', async () => {
    const asked = await merlonBeside([
      'config',
      'audit',
      '--json',
      '--live',
      server.url,
      '--key-file',
      join(folder, 'key'),
    ])
    expect(asked.stderr).toBe('')
    expect(JSON.parse(asked.stdout)).toMatchObject({ rules: 43, failed: false, findings: [] })
    expect(asked.status).toBe(0)
    expect(asked.stdout).not.toContain(key)

    const elsewhere = await merlonBeside(['config', 'audit', '--live', new URL('/other', server.url).href])
    expect(elsewhere.stderr).toContain('there is no MCP endpoint at ')
    expect(elsewhere.status).toBe(1)

    const again = await merlonBeside(['config', 'audit', '--live', server.url])
    expect(again.stdout).toContain('41 rules, 0 findings')
  })

  test('AD-11: a key file that others can read is refused', async () => {
    const shared = join(folder, 'shared')
    writeFileSync(shared, key, { mode: 0o644 })
    chmodSync(shared, 0o644)
    const { status, stdout, stderr } = await merlonBeside([
      'config',
      'audit',
      '--live',
      server.url,
      '--key-file',
      shared,
    ])
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' })
    expect(stderr).not.toContain(key)
  })

  test('over TLS shows which versions it speaks, and that nobody vouches for its certificate', async () => {
    const own = mkdtempSync(join(tmpdir(), 'merlon-live-tls-'))
    const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1', '-days', '2', '-nodes']
    const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1']
    const files = ['-keyout', join(own, 'key.pem'), '-out', join(own, 'cert.pem')]
    execFileSync('openssl', ['req', '-x509', ...curve, ...subject, ...files], { stdio: 'ignore' })
    chmodSync(join(own, 'key.pem'), 0o600)
    const secure = await open({
      MERLON_STORE_FOLDER: join(own, 'data'),
      SSL_CERT_PATH: join(own, 'cert.pem'),
      SSL_KEY_PATH: join(own, 'key.pem'),
    })
    try {
      const { status, stdout } = await merlonBeside(['config', 'audit', '--json', '--live', secure.url])
      const { findings, rules } = JSON.parse(stdout)
      expect(findings).toMatchObject([{ rule: 'LP-114', says: 'expected trusted, got DEPTH_ZERO_SELF_SIGNED_CERT' }])
      expect(rules).toBe(46)
      expect(status).toBe(0)
    } finally {
      await secure.close()
      rmSync(own, { recursive: true, force: true })
    }
  })
})
