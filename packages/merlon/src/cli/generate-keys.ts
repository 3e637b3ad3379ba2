import { closeSync, fsyncSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { freshKeyMaterial } from '../sealing/key-material.ts'
import { type CliContext, CliError, type ProjectOption, projectFolder } from './context.ts'
import type { Noun } from './control-command.ts'
import { createKey } from './key.ts'

type SecretsOptions = ProjectOption & { readonly secrets?: true; readonly write?: true; readonly json?: true }

/** `generate-keys`: an API key to begin with; with `--secrets`, the secrets of an installation. */
export const generateKeysNoun: Noun = {
  name: 'key',
  does: '',
  commands: [
    {
      ...createKey,
      name: 'generate-keys',
      does: 'make an API key to begin with, or the secrets of an installation',
      flags: {
        ...createKey.flags,
        'body.name': { does: 'the name of the key (default: local)' },
        'body.scopes': { does: 'what the key may do (default: read,write)' },
      },
      more: (command) =>
        command
          .option('--secrets', 'make ENCRYPTION_KEY and API_KEY_SECRET instead')
          .option('--write', 'with --secrets: write them to a new .env (mode 600) instead of printing them'),
      before: async (context, options: SecretsOptions) => {
        if (options.secrets) {
          generateSecrets(context, options)
          return 0
        }
        if (!options.write) return undefined
        throw new CliError('--write goes with --secrets', 'merlon generate-keys --secrets --write', { exitCode: 2 })
      },
      prepare: (input, run) => {
        input.body['name'] ??= 'local'
        input.body['scopes'] ??= ['read', 'write']
        return createKey.prepare?.(input, run)
      },
    },
  ],
}

function generateSecrets(context: CliContext, options: SecretsOptions): void {
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
