import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { createInterface } from 'node:readline/promises'
import type { Command } from 'commander'
import type { LoadedConfig } from '../config/load.ts'
import type { Config } from '../config/schema.ts'

/** What a command may touch: where it was called, what it may print, and whom it may ask. */
export interface CliContext {
  readonly cwd: string
  readonly env: Readonly<Record<string, string | undefined>>
  /** Prints a result. */
  out(text: string): void
  /** Says something that is not a result. */
  say(text: string): void
  /** Whether a person is there to answer. */
  readonly interactive: boolean
  /** Asks for a yes. Everything else is a no. */
  confirm(question: string): Promise<boolean>
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

/** The process as a context. */
export function processContext(): CliContext {
  const interactive = process.stdin.isTTY === true && process.stderr.isTTY === true
  return {
    cwd: process.cwd(),
    env: { ...process.env },
    out: (text) => void process.stdout.write(`${text}\n`),
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
  }
}
