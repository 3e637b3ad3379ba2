import { CommanderError } from 'commander'
import { CatalogError } from '../catalog/catalog-error.ts'
import { ConfigError } from '../config/problem.ts'
import { Fault } from '../errors.ts'
import { CliError } from './context.ts'

export interface Failure {
  readonly says: string
  readonly hint: string | undefined
  readonly exitCode: 1 | 2
}

/** Anything thrown by a command, as what to print: what is wrong, and the next thing to try. */
export function failureOf(thrown: unknown, command: string): Failure {
  if (thrown instanceof CliError) return { says: thrown.message, hint: thrown.hint, exitCode: thrown.exitCode }
  if (thrown instanceof CommanderError) {
    const says = thrown.message.replace(/^error: /, '').replace(/\n\(Did you mean (.*)\?\)$/, '; did you mean $1?')
    return { says, hint: `\`${command} --help\` shows what it takes`, exitCode: 2 }
  }
  if (thrown instanceof ConfigError) {
    return { says: thrown.message, hint: 'mend these, then run `merlon config check`', exitCode: 1 }
  }
  if (thrown instanceof CatalogError) {
    return {
      says: `the catalog does not load\n${indent(thrown.message)}`,
      hint: 'mend these files and run it again',
      exitCode: 1,
    }
  }
  if (thrown instanceof Fault) {
    const { reason, cause } = thrown.detail
    const why = reason ?? (cause instanceof Error ? cause.message : undefined)
    const ours = outages.get(thrown.code)
    if (ours !== undefined) {
      return { says: `${ours.says}${why === undefined ? '' : `: ${why}`}`, hint: ours.hint, exitCode: 1 }
    }
    return { says: `${thrown.sentence}${why === undefined ? '' : ` (${why})`}`, hint: thrown.spec.fix, exitCode: 1 }
  }
  const refused = refusedBySystem(thrown)
  if (refused !== undefined) return { ...refused, exitCode: 1 }
  const message = thrown instanceof Error ? thrown.message : 'something failed that should not have'
  const [, says = message, hint = '`merlon config check` looks at the settings and secrets'] =
    whatAndWhatToDo.exec(message) ?? []
  return { says, hint: hint.replace(/^[A-Z](?=[a-z ])/, (letter) => letter.toLowerCase()), exitCode: 1 }
}

/** The table speaks to callers. Whoever runs a command is the operator whom it tells them to ask. */
const outages: ReadonlyMap<string, { readonly says: string; readonly hint: string }> = new Map([
  [
    'store.unavailable',
    { says: 'the store cannot be used', hint: 'check the database that store.folder or store.databaseUrl names' },
  ],
  [
    'audit.unavailable',
    {
      says: 'the audit log cannot be written, and nothing is changed without a record',
      hint: 'check audit.file or the data folder, and the space left there',
    },
  ],
])

/** What the system refused about a file, in words. */
function refusedBySystem(thrown: unknown): { says: string; hint: string } | undefined {
  if (!(thrown instanceof Error) || !('code' in thrown) || !('path' in thrown)) return undefined
  const path = String(thrown.path)
  switch (thrown.code) {
    case 'EACCES':
    case 'EPERM':
      return {
        says: `${path}: this user may not use it`,
        hint: 'run it as the user whose it is, or name another data folder in store.folder',
      }
    case 'EROFS':
      return {
        says: `${path}: the file system is read-only`,
        hint: 'name a data folder that can be written in store.folder',
      }
    case 'ENOENT':
      // What Node.js says of a folder made with its parents where nothing can be made, as in a read-only file system.
      if (!('syscall' in thrown) || thrown.syscall !== 'mkdir') return undefined
      return {
        says: `the folder ${path} cannot be made there`,
        hint: 'name a data folder that can be written in store.folder',
      }
    case 'ENOSPC':
      return { says: `${path}: there is no space left`, hint: 'make room, and run it again' }
  }
  return undefined
}

/** Our own errors say what is wrong and then what to do: `the port is in use; choose another`. */
const whatAndWhatToDo = /^([^\n]*?)(?:; |\. )([^\n]+)$/

function indent(text: string): string {
  return text
    .split('\n')
    .map((line) => `  ${line}`)
    .join('\n')
}
