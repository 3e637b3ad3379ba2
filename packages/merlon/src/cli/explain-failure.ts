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
    return { says: `${thrown.sentence}${why === undefined ? '' : ` (${why})`}`, hint: thrown.spec.fix, exitCode: 1 }
  }
  const message = thrown instanceof Error ? thrown.message : 'something failed that should not have'
  const [, says = message, hint = '`merlon config check` looks at the settings and secrets'] =
    whatAndWhatToDo.exec(message) ?? []
  return { says, hint: hint.replace(/^[A-Z](?=[a-z ])/, (letter) => letter.toLowerCase()), exitCode: 1 }
}

/** Our own errors say what is wrong and then what to do: `the port is in use; choose another`. */
const whatAndWhatToDo = /^([^\n]*?)(?:; |\. )([^\n]+)$/

function indent(text: string): string {
  return text
    .split('\n')
    .map((line) => `  ${line}`)
    .join('\n')
}
