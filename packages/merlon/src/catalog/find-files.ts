import { readdir, realpath, stat } from 'node:fs/promises'
import { join, sep } from 'node:path'
import type { Problem } from './catalog-error.ts'

/** The folders of the catalog, in the order they are read. */
export const catalogFolders = ['prompts', 'resources', 'tools'] as const
export type CatalogFolder = (typeof catalogFolders)[number]

export interface FoundFiles {
  readonly files: readonly { readonly folder: CatalogFolder; readonly file: string }[]
  readonly problems: readonly Problem[]
}

const depthMax = 16
const filesMax = 20_000

/** `*.ts`, `*.js` and `*.mjs`, without tests and declarations. */
export function isCatalogFile(name: string): boolean {
  return /\.(?:ts|js|mjs)$/.test(name) && !/\.(?:test|test-d|d)\.[^.]+$/.test(name)
}

/** `_helpers.ts`, `.cache/`: beside the catalog, but not of it. */
export function isIgnored(name: string): boolean {
  return name.startsWith('_') || name.startsWith('.') || name === 'node_modules'
}

/**
 * The files of the catalog by their real paths, each once, in name order. A link that leads out of the folder is a
 * problem: what is served is what lies in it. Problems are values here; nothing is thrown for what is on the disk.
 */
export async function findFiles(folder: string): Promise<FoundFiles> {
  const files: { folder: CatalogFolder; file: string }[] = []
  const problems: Problem[] = []
  const root = await realpath(folder).catch(() => undefined)
  if (root === undefined || !(await stat(root)).isDirectory())
    return { files, problems: [{ file: folder, reason: 'there is no such folder' }] }

  const seen = new Set<string>()
  let found = 0
  const enter = async (path: string, top: CatalogFolder, within: string, depth: number): Promise<void> => {
    const real = await realpath(path).catch(() => undefined)
    if (real === undefined) {
      problems.push({ file: path, reason: 'this link leads nowhere' })
      return
    }
    if (!lies(real, within)) {
      problems.push({ file: path, reason: `this link leads out of ${within}` })
      return
    }
    if (seen.has(real)) return
    seen.add(real)
    if (!(await stat(real)).isDirectory()) {
      if (isCatalogFile(real)) files.push({ folder: top, file: real })
      return
    }
    if (depth > depthMax || found > filesMax) {
      problems.push({ file: path, reason: `more than ${depthMax} folders deep, or more than ${filesMax} files` })
      return
    }
    const entries = await readdir(real, { withFileTypes: true })
    found += entries.length
    for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      if (isIgnored(entry.name) || (entry.isFile() && !isCatalogFile(entry.name))) continue
      // A link stays in its own folder, so that a helper beside tools/ does not become one by way of a link.
      await enter(join(real, entry.name), top, depth === 0 ? real : within, depth + 1)
    }
  }

  try {
    const present = new Set<string>(await readdir(root))
    const folders = catalogFolders.filter((name) => present.has(name))
    if (folders.length === 0)
      problems.push({ file: folder, reason: 'this folder holds none of tools/, resources/ and prompts/' })
    for (const top of folders) await enter(join(root, top), top, root, 0)
  } catch (error) {
    problems.push({ file: folder, reason: `cannot be read: ${error instanceof Error ? error.message : String(error)}` })
  }
  return { files, problems }
}

/** Whether a real path is the folder or lies below it. */
function lies(real: string, folder: string): boolean {
  return real === folder || real.startsWith(folder + sep)
}
