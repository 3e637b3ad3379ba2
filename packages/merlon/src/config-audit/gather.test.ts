import { execFileSync, spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { examineConfig } from '../config/load.ts'
import type { Facts } from './facts.ts'
import { gather, serviceOf } from './gather.ts'
import { trackedPaths } from './git-index.ts'
import { gatherPackages } from './packages.ts'
import { gatherProcess } from './process.ts'

let project = ''
beforeEach(() => {
  project = mkdtempSync(join(tmpdir(), 'merlon-gather-'))
})
afterEach(() => rmSync(project, { recursive: true, force: true }))

const write = (path: string, text: string, mode = 0o600) => {
  writeFileSync(join(project, path), text)
  chmodSync(join(project, path), mode)
}

const facts = (config: object = {}, env: Record<string, string> = {}): Promise<Facts> => {
  write('merlon.config.json', JSON.stringify(config))
  return gather({
    project,
    now: 1_000,
    examined: examineConfig({ project, env }),
    process: { versions: { node: '24.21.0' }, execArgv: [], env },
    store: async () => ({ keys: [], operators: 1 }),
  })
}

describe('the files', () => {
  test('are named from the project folder, each with its mode and what it is to the server', async () => {
    mkdirSync(join(project, '.merlon'), { mode: 0o700 })
    write('.merlon/root.key', 'k', 0o640)
    write('.merlon/merlon.db', '')
    write('.merlon/merlon.db-wal', '', 0o644)
    const { files } = await facts({ audit: { file: '/dev/null' } })
    expect(files?.placed.map(({ role, path, kind, mode }) => [role, path, kind, mode.toString(8)])).toEqual([
      ['project folder', '.', 'folder', '700'],
      ['configuration', 'merlon.config.json', 'file', '600'],
      ['data folder', '.merlon', 'folder', '700'],
      ['root key', '.merlon/root.key', 'file', '640'],
      ['database', '.merlon/merlon.db', 'file', '600'],
      ['file beside the database', '.merlon/merlon.db-wal', 'file', '644'],
      ['audit log', '/dev/null', 'other', '666'],
    ])
    expect(files?.freeBytes).toBeGreaterThan(0)
  })

  test('of a repository are looked for in its index, without running git', async () => {
    execFileSync('git', ['init', '-q'], { cwd: project })
    write('.gitignore', '# secrets\n.merlon/\n\n.env\n')
    write('.env', 'PORT=4100\n')
    mkdirSync(join(project, 'inner'))
    write('inner/.env', 'PORT=4100\n')
    execFileSync('git', ['add', '-f', '.env', 'inner/.env', '.gitignore'], { cwd: project })
    const { files } = await facts()
    expect(files?.tracked).toEqual(['.env'])
    expect(files?.ignored).toEqual(['.merlon/', '.env'])
    expect([...(trackedPaths(join(project, '.git/index')) ?? [])]).toEqual(['.env', '.gitignore', 'inner/.env'])
  })

  test('outside of a repository are followed by nobody', async () => {
    const { files } = await facts()
    expect(files).toMatchObject({ tracked: undefined, ignored: undefined })
  })
})

describe('the index of git', () => {
  test('that is cut anywhere tells nothing wrong', () => {
    execFileSync('git', ['init', '-q'], { cwd: project })
    write('a', '')
    write('b-with-a-long-name-that-fills-more-than-one-block-of-eight', '')
    execFileSync('git', ['add', '.'], { cwd: project })
    const path = join(project, '.git/index')
    const whole = [...(trackedPaths(path) ?? [])]
    expect(whole).toEqual(['a', 'b-with-a-long-name-that-fills-more-than-one-block-of-eight'])
    for (let size = 170; size > 0; size -= 7) {
      truncateSync(path, size)
      const found = trackedPaths(path)
      if (found !== undefined) expect([...found]).toEqual(whole)
    }
  })

  test('of another kind is not guessed at', () => {
    write('index', 'DIRC\0\0\0\u0004\0\0\0\0')
    expect(trackedPaths(join(project, 'index'))).toBeUndefined()
    write('index', 'something else')
    expect(trackedPaths(join(project, 'index'))).toBeUndefined()
  })
})

describe('another service', () => {
  const origins = new Map([['store.databaseUrl', '.env:DATABASE_URL']])
  const parts = (address: string) => {
    const service = serviceOf(address, 'store.databaseUrl', { origins })
    return service && [service.remote, service.encrypted, service.verified, service.password]
  }

  test.each([
    ['postgres://merlon:x@db.example/merlon', [true, false, true, true]],
    ['postgres://merlon:x@db.example/merlon?sslmode=disable', [true, false, false, true]],
    ['postgres://merlon:x@db.example/merlon?sslmode=verify-full', [true, true, true, true]],
    ['postgres://merlon:x@db.example/merlon?sslmode=no-verify', [true, true, false, true]],
    ['postgres://merlon@db.example/merlon?ssl=true', [true, true, true, false]],
    ['postgres://merlon@db.example/merlon?sslmode=verify-full&sslcert=me.pem', [true, true, true, true]],
    ['postgres://merlon:x@localhost/merlon', [false, false, true, true]],
    ['postgres://merlon:x@127.0.0.1:5433/merlon', [false, false, true, true]],
    ['postgres://merlon:x@[::1]/merlon', [false, false, true, true]],
    ['postgres:///merlon?host=/var/run/postgresql', [false, false, true, false]],
    ['redis://redis.example:6379', [true, false, true, false]],
    ['rediss://merlon:x@redis.example:6379', [true, true, true, true]],
  ])('%s', (address, wanted) => expect(parts(address)).toEqual(wanted))

  test('is named by its setting, and its password goes no further', () => {
    const service = serviceOf('postgres://merlon:hunter2@db.example/merlon', 'store.databaseUrl', { origins })
    expect(service).toMatchObject({ path: 'store.databaseUrl', where: '.env:DATABASE_URL' })
    expect(JSON.stringify(service)).not.toContain('hunter2')
  })

  test('that is no address is none', () => expect(parts('not an address')).toBeUndefined())
})

const hasOpenssl = spawnSync('openssl', ['version']).status === 0

describe.skipIf(!hasOpenssl && process.env['REQUIRE_SERVICES'] !== '1')('the certificate', () => {
  const certify = (...kind: string[]) => {
    const subject = ['-subj', '/CN=a', '-addext', 'subjectAltName=DNS:mcp.example,IP:10.1.2.3', '-days', '2', '-nodes']
    const files = ['-keyout', join(project, 'key.pem'), '-out', join(project, 'chain.pem')]
    execFileSync('openssl', ['req', '-x509', ...kind, ...subject, ...files], { stdio: 'ignore' })
    chmodSync(join(project, 'key.pem'), 0o600)
  }
  const tls = { certificatePath: 'chain.pem', keyPath: 'key.pem' }
  const ec = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1']

  test('tells its key, its time and its names', async () => {
    certify(...ec)
    const { certificate } = await facts({ tls, server: { publicUrl: 'https://mcp.example' } })
    expect(certificate).toMatchObject({
      path: 'chain.pem',
      key: { kind: 'ec', bits: 256 },
      selfSigned: true,
      namesPublicHost: true,
    })
    expect((certificate?.notAfter ?? 0) - (certificate?.notBefore ?? 0)).toBe(2 * 86_400_000)
  })

  test.each([
    ['https://other.example', false],
    ['https://10.1.2.3:8443', true],
    ['https://localhost:8443', undefined],
  ])('for %s: %s', async (publicUrl, wanted) => {
    certify(...ec)
    expect((await facts({ tls, server: { publicUrl } })).certificate?.namesPublicHost).toBe(wanted)
  })

  test('of RSA tells its bits', async () => {
    certify('-newkey', 'rsa:1024')
    expect((await facts({ tls })).certificate?.key).toEqual({ kind: 'rsa', bits: 1_024 })
  })

  test('that cannot be read is none', async () => {
    write('chain.pem', 'nothing')
    write('key.pem', 'nothing')
    expect((await facts({ tls })).certificate).toBeUndefined()
  })
})

describe('the packages', () => {
  test('of a folder without a manifest are not looked at', () => expect(gatherPackages(project)).toBeUndefined())

  test('are what is asked for, what is locked, and how the image is made', () => {
    write('package.json', JSON.stringify({ dependencies: { a: '1.0.0' }, devDependencies: { b: 'latest' } }))
    write(
      'package-lock.json',
      JSON.stringify({
        packages: {
          '': { version: '1.0.0' },
          'node_modules/a': { version: '1.0.0', resolved: 'https://r.example/a.tgz', integrity: 'sha512-…' },
          'node_modules/a/node_modules/@s/b': { version: '2.0.0', resolved: 'http://r.example/b.tgz' },
          'node_modules/linked': { resolved: 'packages/linked', link: true },
        },
      }),
    )
    write('.npmrc', '; a comment\nignore-scripts = true\n')
    write('Dockerfile', '# a comment\nFROM node:24\nRUN a \\\n  && b\nUSER node\n')
    write('.dockerignore', '.env\n')
    expect(gatherPackages(project)).toEqual({
      lockfile: 'package-lock.json',
      asked: [
        { name: 'a', spec: '1.0.0' },
        { name: 'b', spec: 'latest' },
      ],
      locked: [
        { name: 'a', version: '1.0.0', integrity: true, resolved: 'https://r.example/a.tgz' },
        { name: '@s/b', version: '2.0.0', integrity: false, resolved: 'http://r.example/b.tgz' },
      ],
      ignoresScripts: true,
      dockerfile: ['FROM node:24', 'RUN a    && b', 'USER node'],
      dockerIgnored: ['.env'],
    })
  })

  test('of a workspace have the lockfile of its root', () => {
    write('package.json', '{ "workspaces": ["inner"] }')
    write('package-lock.json', '{}')
    mkdirSync(join(project, 'inner'))
    write('inner/package.json', '{}')
    expect(gatherPackages(join(project, 'inner'))?.lockfile).toBe('package-lock.json')
  })

  test('whose files hold nonsense are none', () => {
    write('package.json', '{ "dependencies": [1] }')
    write('package-lock.json', 'nonsense')
    expect(gatherPackages(project)).toMatchObject({ lockfile: 'package-lock.json', locked: [] })
  })
})

describe('the process', () => {
  const secrets = { env: { NODE_ENV: 'development', SECRET: 'hunter2' }, names: ['SECRET', 'OTHER'] }

  test('is read with its options, those of NODE_OPTIONS, and what .env lends it', () => {
    const env = { NODE_OPTIONS: '--import ./a.js --tls_min_v1.0 "--trace_warnings"', SECRET: 'hunter2' }
    const found = gatherProcess(
      { versions: { node: '24.21.0' }, execArgv: ['--insecure_http_parser=true'], env, getuid: () => 7 },
      secrets,
    )
    expect(found.flags).toEqual(['--insecure-http-parser=true', '--import', '--tls-min-v1.0', '--trace-warnings'])
    expect([...found.variables]).toEqual([['NODE_ENV', 'development']])
    expect(found.secretVariables).toEqual(['SECRET'])
    expect(found.user).toBe(7)
    expect(JSON.stringify(found)).not.toContain('hunter2')
  })

  test.skipIf(process.platform !== 'linux')('tells the umask and the size of a core where Linux does', () => {
    const found = gatherProcess({ versions: { node: '24.21.0' }, execArgv: [], env: {} }, secrets)
    expect(found.umask).toBe(Number.parseInt(execFileSync('sh', ['-c', 'umask'], { encoding: 'utf8' }), 8))
    const core = execFileSync('sh', ['-c', 'ulimit -c'], { encoding: 'utf8' }).trim()
    expect(found.coreBytesMax === 0).toBe(core === '0')
  })
})

describe('the catalog', () => {
  test('is told tool by tool, or by what does not load', async () => {
    mkdirSync(join(project, 'src/tools'), { recursive: true })
    mkdirSync(join(project, 'node_modules'))
    symlinkSync(join(import.meta.dirname, '../../../../node_modules/zod'), join(project, 'node_modules/zod'))
    write('package.json', '{ "type": "module" }')
    const define = JSON.stringify(join(import.meta.dirname, '../catalog/define.ts'))
    write(
      'src/tools/add.ts',
      `import { defineTool } from ${define}
export default defineTool({ name: 'add', description: 'Adds.', input: { type: 'object' }, run: () => 'x' })`,
    )
    expect((await facts()).catalog).toEqual({
      problem: undefined,
      tools: [
        {
          name: 'add',
          scope: 'write',
          scopeNamed: false,
          description: 'Adds.',
          annotations: {},
          inputSchema: { type: 'object' },
        },
      ],
      others: [],
    })
    write('src/tools/broken.ts', 'export default 1')
    expect((await facts()).catalog?.problem).toContain('broken.ts')
  })
})

test('with settings that are refused the store is not opened', async () => {
  write('merlon.config.json', '{ "server": { "host": "0.0.0.0" } }')
  const examined = examineConfig({ project, env: {} })
  const store = () => Promise.reject(new Error('the store was opened'))
  const process = { versions: { node: '24.21.0' }, execArgv: [], env: {} }
  const found = await gather({ project, now: 1_000, examined, process, store })
  expect(found.keys).toBeUndefined()
  expect(found.said.map(({ rule }) => rule)).toEqual(['CA-101'])
})
