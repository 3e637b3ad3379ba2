import { existsSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { describe, expect, test } from 'vitest'
import { codeIn, documents, fragments, linkTargets, namedPaths, workspace } from './documents.ts'

const scriptsOf = (path: string): readonly string[] =>
  Object.keys(JSON.parse(readFileSync(join(workspace, path), 'utf8')).scripts ?? {})

/** Scripts a reader may be told to run: of the workspace, of a new project, of a named package. */
const scripts = new Set([
  ...scriptsOf('package.json'),
  ...scriptsOf('examples/secure-agent/package.json'),
  ...scriptsOf('packages/create-merlon/package.json'),
])

test('the newcomer’s documents are there', () => {
  expect(documents.map(({ path }) => path)).toEqual(
    expect.arrayContaining([
      'CONTRIBUTING.md',
      'README.md',
      'SECURITY.md',
      'docs/README.md',
      'docs/design/threat-model.md',
      'docs/guide/keys.md',
      'docs/guide/prompts.md',
      'docs/guide/resources.md',
      'docs/guide/tools.md',
      'docs/tutorial/first-agent.md',
      'examples/secure-agent/README.md',
    ]),
  )
})

describe.each(documents)('$path', ({ path, text }) => {
  test('every link within the workspace leads to something', () => {
    const broken = linkTargets(text).filter((target) => {
      if (/^[a-z]+:/.test(target)) return !target.startsWith('https://')
      const [file = '', fragment] = target.split('#')
      const to = file === '' ? path : normalize(join(dirname(path), file))
      if (to.startsWith('..') || !existsSync(join(workspace, to))) return true
      if (fragment === undefined || statSync(join(workspace, to)).isDirectory()) return fragment !== undefined
      return !fragments(readFileSync(join(workspace, to), 'utf8')).has(fragment)
    })
    expect(broken).toEqual([])
  })

  test('every path it names exists', () => {
    expect(namedPaths({ path, text }).filter((name) => !existsSync(join(workspace, name)))).toEqual([])
  })

  test('every npm script it names exists', () => {
    const named = codeIn(text).flatMap((line) =>
      [...line.matchAll(/\bnpm run (?:--silent |-w \S+ )*([\w:-]+)/g)].map(([, name]) => name!),
    )
    expect(named.filter((name) => !scripts.has(name))).toEqual([])
  })

  test('it names no absolute path of a machine and leaves nothing to fill in', () => {
    expect(text).not.toMatch(/\/(?:home|root|Users|work)\/\w/)
    expect(text).not.toMatch(/\b(?:TODO|FIXME|TBD|XXX)\b/)
  })
})
