import { cpSync, mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'

/** The folder of the benchmark. */
export const home = import.meta.dirname
/** The folder it may write into; made for a run and removed after it. */
export const work = join(home, '.work')

/** What starts a server. */
export interface Prepared {
  readonly argv: readonly string[]
  readonly cwd: string
  readonly env?: Readonly<Record<string, string>>
  /** The API key that it admits. */
  readonly key?: string
}

/** A fresh copy of a project, where it may build and keep what it likes. */
export function copyProject(from: string, name: string): string {
  const project = join(work, name)
  rmSync(project, { recursive: true, force: true })
  mkdirSync(project, { recursive: true })
  cpSync(from, project, { recursive: true })
  return project
}
