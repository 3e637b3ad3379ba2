import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { createInterface } from 'node:readline/promises'
import { Writable } from 'node:stream'
import { text } from 'node:stream/consumers'
import type { Command } from 'commander'
import type { LoadedConfig } from '../config/load.ts'
import type { Config } from '../config/schema.ts'

/** What a command may touch: where it was called, what it may print, and whom it may ask. */
export interface CliContext {
  readonly cwd: string
  readonly env: Readonly<Record<string, string | undefined>>
  /** Prints a result. */
  out(text: string): void
  /** Prints a piece of a long result, and answers when there is room for the next. */
  write(piece: string): Promise<void>
  /** Says something that is not a result. */
  say(text: string): void
  /** Whether a person is there to answer. */
  readonly interactive: boolean
  /** Asks for a yes. Everything else is a no. */
  confirm(question: string): Promise<boolean>
  /** Asks for a secret, and does not show what is typed. */
  askSecret(question: string): Promise<string>
  /** All of standard input. */
  readInput(): Promise<string>
}

/** What a command could not do, in words for the person who ran it, and the next thing to try. */
export class CliError extends Error {
  override readonly name = 'CliError'
  readonly hint: string | undefined
  /** 1: refused or failed. 2: the command line itself is wrong. */
  readonly exitCode: 1 | 2

  constructor(message: string, hint?: string, { exitCode = 1, cause }: { exitCode?: 1 | 2; cause?: unknown } = {}) {
    super(message, cause === undefined ? undefined : { cause })
    this.hint = hint
    this.exitCode = exitCode
  }
}

/** Whoever read the output reads no more, as `head` after its lines. There is nothing left to do, and nothing is wrong. */
export class NobodyReads extends Error {
  override readonly name = 'NobodyReads'
}

export interface ProjectOption {
  readonly project?: string
}

/** Adds `--project`, which every command has. */
export function withProject(command: Command): Command {
  return command.option('--project <folder>', 'the project folder (default: the current one)')
}

export function projectFolder(context: CliContext, { project }: ProjectOption): string {
  return resolve(context.cwd, project ?? '.')
}

/** Loads the settings of the project, and says its warnings, unless the command is about something else. */
export async function loadProject(
  context: CliContext,
  options: ProjectOption,
  { warn = true }: { readonly warn?: boolean } = {},
): Promise<LoadedConfig & { project: string }> {
  const { loadConfig } = await import('../config/load.ts')
  const project = projectFolder(context, options)
  const loaded = loadConfig({ project, env: context.env })
  if (warn) for (const warning of loaded.warnings) context.say(`merlon: warning: ${warning}`)
  return { ...loaded, project }
}

/** Refuses a folder without any sign of a project, so that a command in the wrong place leaves no installation behind. */
export function mustBeProject(project: string, { catalog, store }: Config): void {
  const signs = ['merlon.config.json', 'dynemcp.config.json', catalog.folder, store.folder]
  if (signs.some((sign) => existsSync(resolve(project, sign)))) return
  throw new CliError(
    `${project} is no project: it has no merlon.config.json and no ${catalog.folder}/`,
    'go to the folder of a project, or name it with --project',
  )
}

/** Goes on where a person says yes, or `--yes` was given. */
export async function mustConfirm(
  context: CliContext,
  { yes }: { readonly yes?: true },
  question: string,
): Promise<void> {
  if (yes || (await context.confirm(question))) return
  if (context.interactive) throw new CliError('nothing was changed')
  throw new CliError('it asks first, and nobody is here to answer', 'add --yes', { exitCode: 2 })
}

/** The process as a context. */
export function processContext(): CliContext {
  const interactive = process.stdin.isTTY === true && process.stderr.isTTY === true
  let read = true
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error
    read = false
  })
  const print = (text: string): boolean => {
    if (!read) throw new NobodyReads()
    return process.stdout.write(text)
  }
  return {
    cwd: process.cwd(),
    env: { ...process.env },
    out: (text) => void print(`${text}\n`),
    write: async (piece) => {
      if (print(piece)) return
      await once(process.stdout, 'drain').catch((cause: unknown) => {
        throw read ? cause : new NobodyReads()
      })
    },
    say: (text) => void process.stderr.write(`${text}\n`),
    interactive,
    async confirm(question) {
      if (!interactive) return false
      const lines = createInterface({ input: process.stdin, output: process.stderr })
      try {
        return /^y(?:es)?$/i.test((await lines.question(`${question} [y/N] `)).trim())
      } finally {
        lines.close()
      }
    },
    async askSecret(question) {
      // What is typed is echoed to the output of the lines, and this one shows nothing of it.
      const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() })
      process.stderr.write(question)
      const lines = createInterface({ input: process.stdin, output: nowhere, terminal: true })
      try {
        return await new Promise<string>((typed, stopped) => {
          lines.once('line', typed)
          lines.once('close', () => stopped(new CliError('nothing was changed')))
        })
      } finally {
        lines.close()
        process.stderr.write('\n')
      }
    },
    readInput: () => text(process.stdin),
  }
}
