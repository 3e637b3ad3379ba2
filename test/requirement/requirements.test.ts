import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { cases } from '../attack/cases/cases.ts'
import { corpus, elsewhere } from '../attack/elsewhere.ts'
import { requirements } from './requirements.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))

/** The ids that tests cite, with where. */
function cited(): ReadonlyMap<string, string> {
  const found = new Map<string, string>()
  for (const { requirement, id } of cases) for (const each of requirement) found.set(each, `attack row ${id}`)
  for (const folder of ['packages', 'test', 'bench', 'scripts', 'examples']) {
    for (const file of testFiles(join(root, folder))) {
      const text = readFileSync(file, 'utf8')
      for (const [, list = ''] of text.matchAll(/['"`]((?:[A-Z]{2}-[0-9]{2}(?:, |(?=:)))+): /g))
        for (const id of list.split(', ')) found.set(id, file.slice(root.length))
    }
  }
  return found
}

function* testFiles(folder: string): Generator<string> {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (entry.name === 'node_modules' || entry.name === 'dist') continue
    if (entry.isDirectory()) yield* testFiles(join(folder, entry.name))
    else if (/\.(?:test|test-d|contract)\.ts$/.test(entry.name)) yield join(folder, entry.name)
  }
}

const citations = cited()

test.each(Object.entries(requirements))('%s is held by a test', (id, { promise, source }) => {
  expect(citations.has(id), `no test cites ${id}: ${promise}`).toBe(true)
  expect(promise).toMatch(/^\S.*\.$/)
  expect(source).not.toBe('')
})

test('no test cites a requirement that is not in the list', () => {
  const unknown = [...citations].filter(([id]) => !Object.hasOwn(requirements, id))
  expect(unknown).toEqual([])
})

test('no attack has the id of another: rows of one id differ in what is tried', () => {
  const names = cases.map(({ id, sub }) => `${id} ${sub ?? ''}`)
  expect(names.filter((name, at) => names.indexOf(name) !== at)).toEqual([])
  // Those that we added are of one area each.
  const added = Map.groupBy(
    cases.filter(({ id }) => id.startsWith('X-')),
    ({ id }) => id,
  )
  for (const [id, rows] of added) expect(new Set(rows.map(({ area }) => area)).size, id).toBe(1)
})

test.each(Object.entries(corpus))('each attack of the corpus on %s is a row, or a test that is named', (_area, ids) => {
  const rows = new Set(cases.map(({ id }) => id))
  for (const id of ids) expect(rows.has(id) !== Object.hasOwn(elsewhere, id), `${id} stands in one place`).toBe(true)
})

test.each(Object.entries(elsewhere))('%s is made where it is said to be', (id, { because, file, title }) => {
  expect(Object.values<readonly string[]>(corpus).flat()).toContain(id)
  expect(because).toMatch(/^\S.*\.$/)
  const lines = readFileSync(join(root, file), 'utf8').split('\n')
  const titles = lines.flatMap((line) => /^\s*(?:(?:test|it)\()?['`](.*)['`],/.exec(line)?.[1] ?? [])
  expect(titles.filter((each) => each.includes(title))).toHaveLength(1)
})
