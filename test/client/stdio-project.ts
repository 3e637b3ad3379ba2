import { spawnSync } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { StdioClientTransport as TransportV2 } from '@modelcontextprotocol/client/stdio'
import { StdioClientTransport as TransportV1 } from '@modelcontextprotocol/sdk/client/stdio.js'
import type { Connect } from './connection.ts'
import { openV1 } from './sdk-v1.ts'
import { type Mode, openV2 } from './sdk-v2.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
const main = join(root, 'packages/merlon/dist/main.js')

/** A project for hosts that start the server themselves: a data folder of its own, and a key that is in it. */
export interface StdioProject {
  readonly project: string
  readonly key: string
  /** The environment that a host gives the server: nothing of ours. */
  readonly env: Readonly<Record<string, string>>
  /** Runs a command of the command line on it, and answers what it printed. */
  run(...args: string[]): string
  remove(): Promise<void>
}

/** Makes the data folder of a project that is given from the root of the workspace, which must be built. */
export async function stdioProject(folder: string): Promise<StdioProject> {
  const data = await mkdtemp(join(tmpdir(), 'merlon-stdio-'))
  const project = join(root, folder)
  const env = { PATH: process.env['PATH'] ?? '', MERLON_STORE_FOLDER: data }
  const run = (...args: string[]): string => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...args, '--project', project], {
      env,
      encoding: 'utf8',
    })
    if (status !== 0) throw new Error(`merlon ${args.join(' ')} ended with ${status}:\n${stderr}`)
    return stdout
  }
  const key = run('generate-keys').trim()
  return { project, key, env, run, remove: () => rm(data, { recursive: true, force: true }) }
}

/** How a host starts the server. */
export function stdioCommand({ project, env }: StdioProject, key: string) {
  return {
    command: process.execPath,
    args: [main, 'stdio', '--project', project],
    env: { ...env, MERLON_API_KEY: key },
    stderr: 'ignore' as const,
  }
}

const heard = Promise.resolve()
const stay = async () => {}

/** The clients over standard streams: each connection starts a process of its own. */
export const stdioV1 =
  (of: () => StdioProject): Connect =>
  (_url, key, received) =>
    openV1(new TransportV1(stdioCommand(of(), key)), received, heard, stay)

export const stdioV2 =
  (mode: Mode, of: () => StdioProject): Connect =>
  (_url, key, received) =>
    openV2(mode, new TransportV2(stdioCommand(of(), key)), received, heard, stay)
