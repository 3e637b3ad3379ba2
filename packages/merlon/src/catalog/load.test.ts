import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

/**
 * Files are loaded by Node itself here, in a process of its own: the test runner imports in its own way, and tells
 * errors in its own words.
 */
const define = pathToFileURL(join(import.meta.dirname, 'define.ts')).href
const load = pathToFileURL(join(import.meta.dirname, 'load.ts')).href

let root = ''
beforeAll(async () => {
  root = await realpath(await mkdtemp(join(tmpdir(), 'merlon-load-')))
})
afterAll(async () => {
  await rm(root, { recursive: true, force: true })
})

async function project(name: string, files: Readonly<Record<string, string>>): Promise<string> {
  for (const [path, text] of Object.entries({ 'package.json': '{"type":"module"}', ...files })) {
    const file = join(root, name, path)
    await mkdir(dirname(file), { recursive: true })
    await writeFile(file, text)
  }
  return join(root, name)
}

/** Runs a module that has `loadCatalog` and the project's folder, and answers what it tells. */
function inNode(folder: string, body: string): Promise<unknown> {
  const script = `import { loadCatalog } from ${JSON.stringify(load)}
import { writeFileSync } from 'node:fs'
process.chdir(${JSON.stringify(folder)})
const attempt = async (...args) => {
  try {
    return (await loadCatalog(...args)).tools.map(({ name, listing }) => [name, JSON.parse(listing).description])
  } catch (error) {
    if (error.name !== 'CatalogError') throw error
    return error.problems.map(({ file, line, column, reason }) => [file, line ?? 0, column ?? 0, reason])
  }
}
const told = []
${body}
process.stdout.write(JSON.stringify(told))`
  return new Promise((resolve, reject) => {
    execFile(process.execPath, ['--input-type=module', '-e', script], { timeout: 30_000 }, (error, out, printed) => {
      if (error !== null || printed !== '') reject(new Error(printed, { cause: error }))
      else resolve(JSON.parse(out.replaceAll(folder, '')))
    })
  })
}

const tool = (name: string, description = `'d'`) =>
  `defineTool({ name: '${name}', description: ${description}, input: { type: 'object' }, run: (): number => 1 })`
const head = `import { defineTool } from '${define}'\n`

describe('a folder', () => {
  test('is the catalog: every file of its three folders, however deep, without helpers and tests', async () => {
    const folder = await project('whole', {
      'src/index.ts': 'throw new Error()',
      'src/tools/one.ts': `${head}export default ${tool('one')}`,
      'src/tools/deep/er/array.mjs': `${head}export default [${tool('two').replace(': number', '')}]`,
      'src/tools/named.ts': `${head}export const four = ${tool('four')}\nexport const other = 7\nexport default four`,
      'src/tools/one.test.ts': 'throw new Error()',
      'src/tools/one.d.ts': 'export {}',
      'src/tools/_helper.ts': 'throw new Error()',
      'src/tools/_more/x.ts': 'throw new Error()',
      'src/tools/.hidden.ts': 'throw new Error()',
      'src/tools/node_modules/x.js': 'throw new Error()',
      'src/tools/README.md': '#',
      'src/resources/r.ts': `import { defineResource } from '${define}'\nexport default defineResource({ name: 'r', uri: 'app://r', read: () => 'r' })`,
      'src/prompts/p.ts': `import { definePrompt } from '${define}'\nexport default definePrompt({ name: 'p', get: () => 'p' })`,
    })
    await symlink('one.ts', join(folder, 'src/tools/again.ts'))
    expect(
      await inNode(
        folder,
        `const { tools, resources, prompts } = await loadCatalog('src')
told.push([...tools, ...resources, ...prompts].map(({ name }) => name))`,
      ),
    ).toEqual([['four', 'one', 'two', 'r', 'p']])
  })

  test('read afresh shows what changed in a helper of a helper, and read again does not', async () => {
    const folder = await project('fresh', {
      'src/tools/a.ts': `${head}import { text } from '../../lib/a.ts'\nexport default ${tool('a', 'text')}`,
      'lib/a.ts': `export { text } from './b.ts'`,
      'lib/b.ts': `export const text: string = 'one'`,
    })
    expect(
      await inNode(
        folder,
        `const change = (text) => writeFileSync('lib/b.ts', "export const text: string = '" + text + "'")
told.push(await attempt('src'))
change('two')
told.push(await attempt('src'))
told.push(await attempt('src', { fresh: true }))
change('three')
told.push(await attempt('src', { fresh: true }))`,
      ),
    ).toEqual([[['a', 'one']], [['a', 'one']], [['a', 'two']], [['a', 'three']]])
  })

  test('with mistakes is refused with the place and the reason of each', async () => {
    const folder = await project('broken', {
      'lib/broken.mjs': 'let x = 1\nlet y = ;',
      'src/tools/a-js.js': 'export const a = 1\nexport default {\n  a: ,\n}\n',
      'src/tools/b-js-import.js': 'import "../../lib/broken.mjs"',
      'src/tools/c-ts.ts': 'export const a: number = 1\nexport default {\n  a: ,\n}\n',
      'src/tools/d-enum.ts': 'export const a: number = 1\nenum X { A }\n',
      'src/tools/e-package.ts': '// Needs something.\nimport "no-such-package"\n',
      'src/tools/f-file.ts': 'import "../no-such-file.ts"\n',
      'src/tools/g-name.ts': 'import { nope } from "node:fs"\nexport default nope\n',
      'src/tools/h-throws.ts': '\nfunction f(): never { throw new TypeError("boom") }\nf()\n',
      'src/tools/i-throws-text.ts': 'throw "text"',
      'src/tools/j-nothing.ts': 'export const a = 1',
      'src/tools/k-number.ts': 'export default 3',
      'src/tools/l-late.ts': 'await new Promise(() => {})',
      'src/tools/m-name.ts': `${head}\nexport default ${tool('not good')}`,
      'src/tools/n-twice.ts': `${head}export const a = ${tool('twice')}\nexport const b = ${tool('twice')}`,
      'src/prompts/o-tool.ts': `${head}export default ${tool('o')}`,
      'outside/p.ts': `${head}export default ${tool('p')}`,
    })
    await symlink('../../outside/p.ts', join(folder, 'src/tools/p-link.ts'))
    await symlink('..', join(folder, 'src/tools/q-link'))
    await symlink('nowhere.ts', join(folder, 'src/tools/r-link.ts'))
    const name = 'name must be 1 to 128 of A-Z a-z 0-9 _ - . (what people read goes in title)'
    const none = 'exports nothing made with defineTool, defineResource or definePrompt (a helper is named _helper.ts)'
    const missing = "The requested module 'node:fs' does not provide an export named 'nope'"
    expect(await inNode(folder, `told.push(await attempt('src', { importTimeoutMs: 300 }))`)).toEqual([
      [
        ['/src/tools/p-link.ts', 0, 0, 'this link leads out of /src/tools'],
        ['/src/tools/q-link', 0, 0, 'this link leads out of /src/tools'],
        ['/src/tools/r-link.ts', 0, 0, 'this link leads nowhere'],
        ['/src/prompts/o-tool.ts', 0, 0, 'a tool belongs in tools/, not in prompts/'],
        ['/src/tools/a-js.js', 3, 6, "does not load: Unexpected token ','"],
        ['/lib/broken.mjs', 2, 9, "does not load: Unexpected token ';' (imported by /src/tools/b-js-import.js)"],
        ['/src/tools/c-ts.ts', 3, 6, 'does not load: Expression expected'],
        ['/src/tools/d-enum.ts', 2, 1, 'does not load: TypeScript enum is not supported in strip-only mode'],
        ['/src/tools/e-package.ts', 2, 0, 'does not load: cannot find the package no-such-package'],
        ['/src/tools/f-file.ts', 1, 0, 'does not load: cannot find /src/no-such-file.ts'],
        ['/src/tools/g-name.ts', 1, 10, `does not load: ${missing}`],
        ['/src/tools/h-throws.ts', 2, 29, 'does not load: it threw TypeError: boom'],
        ['/src/tools/i-throws-text.ts', 0, 0, 'does not load: it threw text'],
        ['/src/tools/j-nothing.ts', 0, 0, none],
        ['/src/tools/l-late.ts', 0, 0, 'does not load: it is not done after 300 ms'],
        ['/src/tools/k-number.ts', 0, 0, 'this is not made with defineTool, defineResource or definePrompt'],
        ['/src/tools/m-name.ts', 3, 16, `the tool not good: ${name}`],
        ['/src/tools/n-twice.ts', 3, 18, 'the tool twice is already defined in /src/tools/n-twice.ts'],
      ],
    ])
  })

  test('that is not there, or that holds nothing, is refused', async () => {
    const folder = await project('empty', { 'src/index.ts': '' })
    expect(await inNode(folder, `told.push(await attempt('source'), await attempt('src'))`)).toEqual([
      [['source', 0, 0, 'there is no such folder']],
      [['src', 0, 0, 'this folder holds none of tools/, resources/ and prompts/']],
    ])
  })
})
