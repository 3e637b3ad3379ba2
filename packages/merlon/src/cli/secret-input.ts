import { readFileSync, statSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Command } from 'commander'
import { openToOthers, permissions } from '../private-file.ts'
import { type CliContext, CliError } from './context.ts'

/** What a secret is called, in flags and in words. */
export interface SecretWords {
  /** As `password`: it comes with `--password-stdin` or `--password-file`. */
  readonly word: string
  readonly question: string
  /** Typed twice: nobody can look at what was typed. */
  readonly twice?: true
}

type Options = Readonly<Record<string, unknown>>

/** Adds the ways in which a secret comes. There is no flag that holds one: others see the arguments of a process. */
export function withSecret(command: Command, { word }: Pick<SecretWords, 'word'>): void {
  command
    .option(`--${word}-stdin`, `read the ${word} from standard input`)
    .option(`--${word}-file <file>`, `read the ${word} from a file that only you can read`)
}

/** Whether a secret comes by one of the flags. */
export function isGiven(options: Options, word: string): boolean {
  return options[`${word}Stdin`] !== undefined || options[`${word}File`] !== undefined
}

/** A secret as it was given; `undefined` where none was and nobody is there to ask, or an empty one was typed. */
export async function givenSecret(
  context: CliContext,
  options: Options,
  { word, question, twice }: SecretWords,
): Promise<string | undefined> {
  const file = options[`${word}File`]
  if (options[`${word}Stdin`] && file !== undefined) {
    throw new CliError(`--${word}-stdin and --${word}-file name two places`, 'leave one out', { exitCode: 2 })
  }
  if (options[`${word}Stdin`]) return oneLine(await context.readInput(), 'standard input')
  if (typeof file === 'string') return readPrivateFile(context, file)
  if (!context.interactive) return undefined
  const typed = await context.askSecret(`${question}: `)
  if (typed === '') return undefined
  if (twice && (await context.askSecret('Again: ')) !== typed) {
    throw new CliError('the two are not the same, and nothing was changed', 'run it again')
  }
  return typed
}

export async function mustHaveSecret(context: CliContext, options: Options, words: SecretWords): Promise<string> {
  const secret = await givenSecret(context, options, words)
  if (secret !== undefined) return secret
  const { word } = words
  throw new CliError(`no ${word} was given`, `type it when asked, or use --${word}-stdin or --${word}-file`, {
    exitCode: 2,
  })
}

/** Two secrets: typed, or the two lines of standard input. */
export async function mustHaveTwo(
  context: CliContext,
  options: Options,
  [first, second]: readonly [SecretWords, SecretWords],
): Promise<readonly [string, string]> {
  if (options[`${second.word}Stdin`]) {
    return readTwoLines(context, 'write the present one there, and then the new one')
  }
  return [await mustHaveSecret(context, {}, first), await mustHaveSecret(context, options, second)]
}

/** Two secrets on standard input. */
export async function readTwoLines(context: CliContext, hint: string): Promise<readonly [string, string]> {
  const [one = '', two = '', ...more] = (await context.readInput()).replace(/\r?\n$/, '').split(/\r?\n/)
  if (one !== '' && two !== '' && more.length === 0) return [one, two]
  throw new CliError('standard input does not hold two lines', hint)
}

/** The one line of a file that only its owner can read. */
export function readPrivateFile(context: CliContext, name: string): string {
  const path = resolve(context.cwd, name)
  let mode: number
  let text: string
  try {
    mode = permissions(statSync(path))
    text = readFileSync(path, 'utf8')
  } catch (cause) {
    throw new CliError(`${name} cannot be read`, 'name a file of yours that is there', { cause })
  }
  if (openToOthers(mode)) {
    throw new CliError(`${name} holds a secret and other users can read it`, `run chmod 600 ${name}`)
  }
  return oneLine(text, name)
}

function oneLine(text: string, from: string): string {
  const line = text.replace(/\r?\n$/, '')
  if (line === '' || /[\r\n]/.test(line)) {
    throw new CliError(`${from} does not hold one line with the secret`, 'write the secret there, and nothing else')
  }
  return line
}
