import { lstatSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

/** Why no project was made, and the next thing to try. Nothing has been written when it is thrown. */
export class Refusal extends Error {
  override readonly name = 'Refusal'
  readonly hint: string
  readonly exitCode: number

  constructor(message: string, hint: string, exitCode = 1) {
    super(message)
    this.hint = hint
    this.exitCode = exitCode
  }
}

/** The name of the example that the template is made from. */
export const exampleName = 'secure-agent'

/** Files that `npm pack` leaves out or renames, by the name the template keeps them under. */
export const storedNames: ReadonlyMap<string, string> = new Map([
  ['.gitignore', 'gitignore'],
  ['.npmrc', 'npmrc'],
])

const ownNames = new Map([...storedNames].map(([own, stored]) => [stored, own]))
const namedFiles = new Set(['package.json', 'merlon.config.json', 'README.md'])
const template = fileURLToPath(new URL('../template/', import.meta.url))

export interface Creation {
  /** Where the project goes, as the caller wrote it. */
  readonly folder: string
  /** What a relative `folder` or `file:` path is relative to. */
  readonly from: string
  /** A version, or `file:` and the path of a packed or unpacked merlon. Default: the version of this release. */
  readonly merlon?: string | undefined
}

/** Makes a project and returns its absolute path. Throws a `Refusal` before it writes anything. */
export function createProject({ folder, from, merlon }: Creation): string {
  const project = resolve(from, folder)
  const name = basename(project)
  checkName(name)
  checkEmpty(project, folder)
  const dependency = merlon === undefined ? undefined : parseDependency(merlon, from)

  mkdirSync(project, { recursive: true })
  for (const { path, text } of templateFiles()) {
    const target = join(project, path)
    mkdirSync(join(target, '..'), { recursive: true })
    const named = namedFiles.has(path) ? text.replaceAll(exampleName, name) : text
    writeFileSync(target, dependency === undefined ? named : adapt(path, named, dependency), { flag: 'wx' })
  }
  return project
}

/** The files of a new project, by the path they have in it. */
export function templateFiles(): readonly { path: string; text: string }[] {
  return readdirSync(template, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort()
    .map((file) => {
      const stored = file.slice(template.length)
      return { path: ownNames.get(stored) ?? stored, text: readFileSync(file, 'utf8') }
    })
}

interface Dependency {
  readonly specifier: string
  readonly isFolder: boolean
}

function adapt(path: string, text: string, { specifier, isFolder }: Dependency): string {
  if (path === 'package.json') {
    const manifest: { dependencies: Record<string, string> } = JSON.parse(text)
    manifest.dependencies = { ...manifest.dependencies, merlon: specifier }
    return `${JSON.stringify(manifest, null, 2)}\n`
  }
  // A folder is copied, not linked: a link would install its dependencies into the folder itself.
  return path === '.npmrc' && isFolder ? `${text}install-links=true\n` : text
}

function checkName(name: string): void {
  // The rule of the npm registry for new names.
  if (!/^[a-z0-9][a-z0-9._-]{0,213}$/.test(name) || name === 'node_modules')
    throw new Refusal(
      `${JSON.stringify(name)} cannot be the name of a project`,
      'use lower-case letters, digits, dots, dashes and underscores, as in my-agent',
      2,
    )
}

function checkEmpty(project: string, shown: string): void {
  const found = lstatSync(project, { throwIfNoEntry: false })
  if (found === undefined) return
  if (!found.isDirectory() || readdirSync(project).length > 0)
    throw new Refusal(`${shown} is there already and is not an empty folder`, 'name a new folder')
}

function parseDependency(merlon: string, from: string): Dependency {
  if (!merlon.startsWith('file:')) {
    if (/^[0-9a-z.^~+-]{1,64}$/i.test(merlon)) return { specifier: merlon, isFolder: false }
    throw new Refusal(
      `${JSON.stringify(merlon)} is neither a version nor a file: path`,
      'say --merlon 0.1.0 or --merlon file:merlon-0.1.0.tgz',
      2,
    )
  }
  const path = resolve(from, merlon.slice('file:'.length))
  const found = statSync(path, { throwIfNoEntry: false })
  if (found === undefined) throw new Refusal(`there is nothing at ${merlon}`, 'check the path after file:')
  return { specifier: `file:${path}`, isFolder: found.isDirectory() }
}
