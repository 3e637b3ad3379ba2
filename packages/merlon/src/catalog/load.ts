import { realpath } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Catalog } from './catalog.ts'
import type { Problem } from './catalog-error.ts'
import { compileCatalog, isDefinition, type Loaded } from './compile.ts'
import { type Definition, definition } from './define.ts'
import { type CatalogFolder, findFiles } from './find-files.ts'
import { moduleImporter } from './fresh-import.ts'
import { importProblem, LateImport } from './import-problem.ts'

export interface LoadOptions {
  /** Reads every file of the project again, as `dev` does after a change. Default: a file is evaluated once per process. */
  readonly fresh?: boolean
  /** Longest time for one file, its top-level awaits included. Default 30 s. */
  readonly importTimeoutMs?: number
}

const folderOf: { readonly [K in Definition[typeof definition]]: CatalogFolder } = {
  tool: 'tools',
  resource: 'resources',
  template: 'resources',
  prompt: 'prompts',
}

/**
 * Loads `tools/`, `resources/` and `prompts/` of the folder, and what lies deeper in them. A file exports definitions: one
 * or an array of them as its default, or several by name. Names that begin with `_` or `.`, tests and declarations are left out.
 * Throws a CatalogError that tells all that is wrong in all files.
 */
export async function loadCatalog(
  folder: string,
  { fresh = false, importTimeoutMs = 30_000 }: LoadOptions = {},
): Promise<Catalog> {
  const { files, problems: found } = await findFiles(folder)
  const problems: Problem[] = [...found]
  const loaded: Loaded[] = []
  const project = dirname(await realpath(folder).catch(() => folder))
  const importModule = moduleImporter(fresh)

  for (const { folder: top, file } of files) {
    try {
      const module = await inTime(importModule(file), importTimeoutMs)
      const definitions = definitionsOf(module)
      if (definitions.length === 0)
        problems.push({
          file,
          reason: 'exports nothing made with defineTool, defineResource or definePrompt (a helper is named _helper.ts)',
        })
      for (const each of definitions) {
        if (isDefinition(each) && folderOf[each[definition]] !== top)
          problems.push({
            file,
            reason: `a ${each[definition]} belongs in ${folderOf[each[definition]]}/, not in ${top}/`,
          })
        else loaded.push({ file, definition: each })
      }
    } catch (error) {
      problems.push(await importProblem(file, project, error))
    }
  }
  return compileCatalog(loaded, { problems })
}

/** Everything under `default`, whatever it is, and the definitions among the named exports; each once. */
function definitionsOf(module: Readonly<Record<string, unknown>>): readonly object[] {
  const found = new Set<object>()
  for (const [name, value] of Object.entries(module)) {
    if (name !== 'default') {
      if (isDefinition(value)) found.add(value)
      continue
    }
    // What is no definition is told as such, with the rest, by the compiler.
    for (const each of Array.isArray(value) ? value : [value])
      found.add(typeof each === 'object' && each !== null ? each : Object(each))
  }
  return [...found]
}

async function inTime<T>(work: Promise<T>, timeoutMs: number): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => reject(new LateImport(`it is not done after ${timeoutMs} ms`)), timeoutMs)
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}
