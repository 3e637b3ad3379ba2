import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { codeBlocks, documents, workspace } from './documents.ts'

/** Files a reader is told to write: TypeScript whose first line names its place in a project. */
const examples = documents.flatMap(({ path, text }) =>
  codeBlocks(text).flatMap(({ language, code }) => {
    const place = /^\/\/ (src\/(?:tools|resources|prompts)\/[\w-]+\.ts)\n/.exec(code)?.[1]
    return language === 'ts' && place !== undefined ? [{ document: path, place, code }] : []
  }),
)

const compilerOptions = {
  target: 'es2024',
  lib: ['es2024'],
  module: 'nodenext',
  types: ['node'],
  strict: true,
  noUncheckedIndexedAccess: true,
  exactOptionalPropertyTypes: true,
  verbatimModuleSyntax: true,
  erasableSyntaxOnly: true,
  skipLibCheck: true,
  noEmit: true,
}

let folder: string
const projectOf = (document: string) => join(folder, document.replaceAll(/\W/g, '-'))

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'merlon-documents-'))
  symlinkSync(join(workspace, 'node_modules'), join(folder, 'node_modules'))
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions }))
  for (const { document, place, code } of examples) {
    const file = join(projectOf(document), place)
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, code)
  }
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

test('the first page has a first tool, in ten lines or so', () => {
  const first = examples.find(({ document }) => document === 'README.md')
  expect(first?.place).toBe('src/tools/add.ts')
  expect(first?.code.trim().split('\n').length).toBeLessThanOrEqual(12)
})

test('every example compiles', { timeout: 240_000 }, () => {
  const { status, stdout } = spawnSync(join(workspace, 'node_modules/.bin/tsc'), ['-p', folder], {
    encoding: 'utf8',
    timeout: 240_000,
  })
  expect({ status, stdout }).toEqual({ status: 0, stdout: '' })
})

describe.each([...new Set(examples.map(({ document }) => document))])('%s', (document) => {
  test('its examples load as a catalog', { timeout: 30_000 }, () => {
    const loader = join(workspace, 'packages/merlon/dist/catalog/load.js')
    expect(existsSync(loader), 'run npm run build first').toBe(true)
    const script = `const { loadCatalog } = await import(${JSON.stringify(loader)})
      const catalog = await loadCatalog(${JSON.stringify(join(projectOf(document), 'src'))})
      console.log(catalog.tools.length + catalog.resources.length + catalog.templates.length + catalog.prompts.length)`
    const counted = execFileSync(process.execPath, ['--input-type=module', '-e', script], {
      encoding: 'utf8',
      timeout: 30_000,
    })
    expect(Number(counted)).toBe(examples.filter((example) => example.document === document).length)
  })
})
