import { closeSync, fsyncSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import type { Command } from 'commander'
import { freshKeyMaterial } from '../sealing/key-material.ts'
import { type CliContext, CliError, type ProjectOption, projectFolder, withProject } from './context.ts'
import { createKey } from './key.ts'

/** `generate-keys`: an API key to begin with; with `--secrets`, the secrets of an installation. */
export function registerGenerateKeysCommand(program: Command, context: CliContext): void {
  withProject(program.command('generate-keys'))
    .description('make an API key to begin with, or the secrets of an installation')
    .option('--name <name>', 'the name of the key', 'local')
    .option('--scopes <list>', 'what the key may do', 'read,write')
    .option('--secrets', 'make ENCRYPTION_KEY and API_KEY_SECRET instead')
    .option('--write', 'with --secrets: write them to a new .env (mode 600) instead of printing them')
    .option('--json', 'print JSON')
    .action(
      async (options: ProjectOption & { name: string; scopes: string; secrets?: true; write?: true; json?: true }) => {
        if (options.secrets) return generateSecrets(context, options)
        if (options.write) {
          throw new CliError('--write goes with --secrets', 'merlon generate-keys --secrets --write', { exitCode: 2 })
        }
        await createKey(context, options)
      },
    )
}

function generateSecrets(context: CliContext, options: ProjectOption & { write?: true; json?: true }): void {
  const secrets = { ENCRYPTION_KEY: freshKeyMaterial(), API_KEY_SECRET: freshKeyMaterial() }
  const lines = Object.entries(secrets).map(([name, value]) => `${name}=${value}`)
  if (options.write) {
    const path = join(projectFolder(context, options), '.env')
    writeNew(path, `${lines.join('\n')}\n`)
    context.say(
      'merlon: wrote .env (mode 600); keep a copy where you keep secrets, for without it nothing sealed can be read',
    )
    return
  }
  context.out(options.json ? JSON.stringify(secrets, null, 2) : lines.join('\n'))
}

/** Writes a file that did not exist, for its owner alone, and onto the disk. */
function writeNew(path: string, text: string): void {
  let file: number
  try {
    file = openSync(path, 'wx', 0o600)
  } catch (thrown) {
    if (!(thrown instanceof Error) || !('code' in thrown) || thrown.code !== 'EEXIST') throw thrown
    throw new CliError(
      '.env exists, and it is not overwritten',
      'run it without --write and add the lines yourself; replacing a key in use makes what it sealed unreadable',
    )
  }
  try {
    writeSync(file, text)
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
}
