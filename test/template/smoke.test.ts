import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { problemsOf, readDockerfile, restsOf, wordsOf } from '../deploy/dockerfile.ts'

const workspace = fileURLToPath(new URL('../../', import.meta.url))

/** The environment of a user who types the commands: nothing of the npm that runs these tests, and Node 24 first. */
const environment: NodeJS.ProcessEnv = {
  ...Object.fromEntries(
    Object.entries(process.env).filter(
      ([name]) =>
        !/^(?:npm_(?:package|lifecycle)_|npm_config_local_prefix$|INIT_CWD$|NODE_OPTIONS$|NODE_ENV$|VITEST|MERLON_)/.test(
          name,
        ),
    ),
  ),
  PATH: [join(workspace, 'node_modules/.bin'), process.env['PATH']].join(delimiter),
}

/** The words of the image's health check, with the folder of the image as the project's. */
const healthCheck = (): readonly string[] => {
  const last = readDockerfile(readFileSync(join(project, 'Dockerfile'), 'utf8')).at(-1)!
  return wordsOf(restsOf(last, 'HEALTHCHECK')[0]!).map((word) => word.replace(/^\/app/, project))
}

let folder: string
let project: string

const run = (
  file: string,
  words: readonly string[],
  cwd: string,
  timeout: number,
  env: NodeJS.ProcessEnv = {},
): string =>
  execFileSync(file, words, {
    cwd,
    env: { ...environment, ...env },
    encoding: 'utf8',
    timeout,
    stdio: ['ignore', 'pipe', 'pipe'],
  })

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'merlon-template-'))
  project = join(folder, 'my-agent')
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe('a project made with npm create merlon', { timeout: 600_000 }, () => {
  test('installs from the packed server', () => {
    expect(existsSync(join(workspace, 'packages/merlon/dist/index.js')), 'run npm run build first').toBe(true)
    const packed = run(
      'npm',
      ['pack', '--silent', '--ignore-scripts', '--pack-destination', folder],
      join(workspace, 'packages/merlon'),
      30_000,
    )
    const tarball = packed.trim().split('\n').at(-1)!
    run(
      'node',
      [join(workspace, 'packages/create-merlon/src/main.ts'), 'my-agent', '--merlon', `file:${tarball}`],
      folder,
      20_000,
    )
    run('npm', ['install', '--prefer-offline', '--ignore-scripts', '--no-audit', '--no-fund'], project, 240_000)
    const installed = JSON.parse(readFileSync(join(project, 'node_modules/merlon/package.json'), 'utf8'))
    expect(installed.name).toBe('merlon')
    expect(existsSync(join(project, 'node_modules/merlon/schema/merlon.config.schema.json'))).toBe(true)
  })

  test('passes its own tests', () => {
    run('npm', ['test'], project, 240_000)
  })

  test('builds', () => {
    run('npm', ['run', 'build'], project, 240_000)
    expect(existsSync(join(project, 'dist/tools/status.js'))).toBe(true)
  })

  test('SC-02: is held to the hardening checklist, and has nothing grave', () => {
    const printed = run('npm', ['run', '--silent', 'audit:security', '--', '--json'], project, 240_000)
    const { failed, findings } = JSON.parse(printed)
    expect(failed).toBe(false)
    // It was just installed from a lockfile of its own.
    expect(findings.map(({ rule }: { rule: string }) => rule)).not.toContain('CA-901')
    run('npm', ['run', 'test:security'], project, 240_000)
  })

  test('SU-05: makes an image that pins its bases, runs as nobody in particular and has no shell', () => {
    expect(problemsOf(readFileSync(join(project, 'Dockerfile'), 'utf8'))).toEqual([])
  })

  test('starts, answers, and stops when told to', async () => {
    const server = spawn('node', ['node_modules/merlon/bin/merlon.cjs', 'start'], {
      cwd: project,
      env: { ...environment, MERLON_SERVER_PORT: '0' },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: 60_000,
    })
    const ended = once(server, 'exit')
    const errors = server.stderr.setEncoding('utf8').toArray()
    let url: string | undefined
    for await (const line of createInterface(server.stdout)) {
      url = /http:\/\/(?:127\.0\.0\.1|localhost):\d+/.exec(line)?.[0]
      if (url !== undefined) break
    }
    server.stdout.resume()
    if (url === undefined) throw new Error(`it did not start:\n${(await errors).join('')}`)
    const health = await fetch(`${url}/health`)
    expect(health.status).toBe(200)

    const [program, ...words] = healthCheck()
    expect(program).toBe('/usr/local/bin/node')
    const check = () => run('node', words, project, 20_000, { MERLON_SERVER_PORT: new URL(url).port })
    expect(check()).toBe('ok\n')

    server.kill('SIGTERM')
    expect(await ended).toEqual([0, null])
    expect(check).toThrow('nothing answers at')
  })
})
