import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { cases } from '../attack/cases/cases.ts'
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

test('each row of the attack table has a name of its own', () => {
  const names = cases.map(({ id, sub, title }) => `${id} ${sub ?? ''} ${title}`)
  expect(names.filter((name, at) => names.indexOf(name) !== at)).toEqual([])
})
