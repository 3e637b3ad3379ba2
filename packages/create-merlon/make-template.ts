import { cpSync, lstatSync, mkdirSync, readdirSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { exampleName, storedNames } from './src/create.ts'

export const example = fileURLToPath(new URL(`../../examples/${exampleName}/`, import.meta.url))
export const template = fileURLToPath(new URL('./template/', import.meta.url))

/** What a working copy of the example collects and a new project must not have. */
const leftOut = new Set(['node_modules', 'dist', '.merlon', '.env', 'package-lock.json'])

/** The files of the example that make the template: their path there, and the path the template keeps them under. */
export function templatePaths(folder = example): readonly { path: string; stored: string }[] {
  const paths: string[] = []
  const walk = (inner: string): void => {
    for (const name of readdirSync(join(folder, inner))) {
      if (leftOut.has(name)) continue
      const path = join(inner, name)
      const found = lstatSync(join(folder, path))
      if (found.isDirectory()) walk(path)
      else if (found.isFile()) paths.push(path)
      else throw new Error(`${path} is neither a file nor a folder`)
    }
  }
  walk('')
  return paths.sort().map((path) => ({ path, stored: storedNames.get(path) ?? path }))
}

if (import.meta.main) {
  rmSync(template, { recursive: true, force: true })
  for (const { path, stored } of templatePaths()) {
    mkdirSync(dirname(join(template, stored)), { recursive: true })
    cpSync(join(example, path), join(template, stored))
  }
}
