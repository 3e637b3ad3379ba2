import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { PackageFacts } from './facts.ts'

const lockfiles = ['package-lock.json', 'npm-shrinkwrap.json', 'pnpm-lock.yaml', 'yarn.lock', 'bun.lock']

/** What the project is made of; `undefined` where it has no manifest. */
export function gatherPackages(project: string): PackageFacts | undefined {
  const manifest = json(join(project, 'package.json'))
  if (manifest === undefined) return undefined
  const root = workspaceOf(project)
  const lockfile = lockfiles.find((name) => text(join(root, name)) !== undefined)
  const asked = ['dependencies', 'optionalDependencies', 'devDependencies'].flatMap((kind) =>
    Object.entries(record(manifest[kind])).map(([name, spec]) => ({ name, spec: String(spec) })),
  )
  return {
    lockfile,
    asked,
    locked: lockfile?.endsWith('.json') === true ? locked(json(join(root, lockfile)) ?? {}) : [],
    ignoresScripts: lines(text(join(project, '.npmrc'))).some((line) => /^ignore-scripts\s*=\s*true$/.test(line)),
    dockerfile: instructions(text(join(project, 'Dockerfile'))),
    dockerIgnored: lines(text(join(project, '.dockerignore'))),
  }
}

/** The folder whose lockfile counts: that of the workspace where the project is a part of one. */
function workspaceOf(project: string): string {
  for (let folder = dirname(project); ; folder = dirname(folder)) {
    if (json(join(folder, 'package.json'))?.['workspaces'] !== undefined) return folder
    if (dirname(folder) === folder) return project
  }
}

/** The packages of a lockfile of npm 7 and later. Links into the workspace are not packages. */
function locked(lockfile: Readonly<Record<string, unknown>>): PackageFacts['locked'] {
  return Object.entries(record(lockfile['packages'])).flatMap(([path, value]) => {
    const name = /(?:^|\/)node_modules\/((?:@[^/]+\/)?[^/]+)$/.exec(path)?.[1]
    const { version, integrity, resolved, link } = record(value)
    if (name === undefined || typeof version !== 'string' || link === true) return []
    return [
      {
        name,
        version,
        integrity: typeof integrity === 'string',
        resolved: typeof resolved === 'string' ? resolved : undefined,
      },
    ]
  })
}

/** Lines that are continued are one. */
function instructions(dockerfile: string | undefined): readonly string[] | undefined {
  if (dockerfile === undefined) return undefined
  return lines(dockerfile.replaceAll(/\\\r?\n/g, ' '))
}

function lines(found: string | undefined): readonly string[] {
  return (found ?? '')
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))
}

function text(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}

function json(path: string): Readonly<Record<string, unknown>> | undefined {
  try {
    return record(JSON.parse(text(path) ?? ''))
  } catch {
    return undefined
  }
}

function record(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
}
