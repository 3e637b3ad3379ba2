import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { leftOut, problemsOf, readDockerfile, restsOf, wordsOf } from './dockerfile.ts'

const workspace = join(import.meta.dirname, '../..')
const read = (path: string) => readFileSync(join(workspace, path), 'utf8')
const dockerfiles = ['Dockerfile', 'examples/secure-agent/Dockerfile']

describe.each(dockerfiles)('%s', (path) => {
  const text = read(path)
  const stages = readDockerfile(text)
  const last = stages.at(-1)!

  test('SU-05: two stages on pinned bases, no root, no shell, no secret, nothing past the lockfile', () => {
    expect(problemsOf(text)).toEqual([])
    expect(stages.length).toBe(2)
  })

  test('SU-05: the base that serves has no shell, and of Node.js it gets the program alone', () => {
    expect(last.base).toMatch(/^gcr\.io\/distroless\/cc-debian13:nonroot@sha256:/)
    const fromBase = restsOf(last, 'COPY').filter((rest) => /\s\/usr\//.test(rest))
    expect(fromBase).toEqual(['--from=build /usr/local/bin/node /usr/local/bin/node'])
  })

  test('SU-05: it is stopped by the signal that the server drains at, and keeps its data in a volume', () => {
    expect(restsOf(last, 'STOPSIGNAL')).toEqual(['SIGTERM'])
    expect(restsOf(last, 'VOLUME')).toEqual(['/data'])
    expect(restsOf(last, 'ENV')).toEqual(['NODE_ENV=production MERLON_STORE_FOLDER=/data'])
    expect(wordsOf(restsOf(last, 'HEALTHCHECK')[0]!).at(2)).toBe('health')
  })

  test.each([
    ['a base without a digest', (from: string) => from.replace(/@sha256:[0-9a-f]{64}/, ''), 'has no digest'],
    [
      'a base with a short digest',
      (from: string) => from.replace(/(@sha256:[0-9a-f]{63})[0-9a-f]/, '$1'),
      'has no digest',
    ],
    ['root', (from: string) => from.replace('USER 65532:65532', 'USER 0:0'), 'USER 0:0'],
    ['nobody in particular', (from: string) => from.replace('USER 65532:65532', ''), 'USER undefined'],
    ['a shell', (from: string) => from.replace(/CMD \["start".*/, 'CMD start'), 'CMD needs a shell'],
    ['a secret', (from: string) => from.replace('ENV ', 'ENV ENCRYPTION_KEY=x '), 'may hold a secret'],
    ['scripts of packages', (from: string) => from.replace('npm ci --ignore-scripts', 'npm ci'), 'scripts of packages'],
    ['what no lockfile holds', (from: string) => from.replace('npm ci', 'npm install'), 'npm ci keeps to the lockfile'],
    ['an installation at last', (from: string) => `${from}\nRUN apt-get install bash\n`, 'RUN in the last stage'],
    [
      'no health check',
      (from: string) => from.replace(/HEALTHCHECK[^\n]*\n[^\n]*\n/, ''),
      'HEALTHCHECK is there 0 times',
    ],
  ])('%s would be found', (_, change, says) => {
    expect(problemsOf(change(text)).join('\n')).toContain(says)
  })
})

describe.each(['.dockerignore', 'examples/secure-agent/.dockerignore'])('%s', (path) => {
  test.each(['.env', '.merlon/root.key', '.git/config', 'node_modules/x/index.js', 'deploy/secrets/encryption_key'])(
    'SU-05: %s does not reach the build',
    (file) => {
      expect(leftOut(read(path), file)).toBe(true)
    },
  )
  test('what is built from does', () => {
    for (const file of ['package.json', 'package-lock.json', '.npmrc']) expect(leftOut(read(path), file)).toBe(false)
  })
})

test('SU-05: what a working copy collects in its parts does not reach the build', () => {
  const text = read('.dockerignore')
  for (const file of [
    'examples/secure-agent/.env',
    'examples/secure-agent/.merlon/merlon.db',
    'packages/merlon/dist/main.js',
    'packages/merlon/node_modules/x.js',
  ]) {
    expect(leftOut(text, file), file).toBe(true)
  }
  expect(leftOut(text, 'packages/merlon/src/main.ts')).toBe(false)
  expect(leftOut(text, 'test/attack/harness.ts')).toBe(true)
})
