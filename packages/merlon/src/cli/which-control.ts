import { resolve } from 'node:path'
import type { Command } from 'commander'
import type { Control } from '../admin/control.ts'
import type { Config } from '../config/schema.ts'
import { controlSocketOf, listens } from '../control-socket.ts'
import { type CliContext, CliError, loadProject, mustBeProject, type ProjectOption } from './context.ts'
import { type CredentialOption, givenCredential } from './credential.ts'

export interface ControlOptions extends ProjectOption, CredentialOption {
  readonly server?: string
}

/** A control plane to ask, and what is known of it. */
export interface Asking {
  readonly control: Control
  /** The local operator asks: through the socket of the data folder, or in this process. */
  readonly local: boolean
  /** The settings of the project; `undefined` for a control plane elsewhere. */
  readonly config: Config | undefined
  /** Whether a server runs that goes on after this command. */
  readonly serving: boolean
}

export function withControl(command: Command): Command {
  return command
    .option('--project <folder>', 'the project folder (default: the current one)')
    .option('--server <url>', 'a control plane elsewhere, with a credential of yours')
    .option('--credential-file <file>', 'with --server: the file that holds the credential')
}

/**
 * The control plane that the options mean. Beside a data folder: the server that has it, through its socket; without one,
 * the installation itself, opened for the time of the command. Either way exactly one process writes.
 */
export async function openControl(
  context: CliContext,
  options: ControlOptions,
  { credential = true }: { readonly credential?: boolean } = {},
): Promise<Asking> {
  if (options.server !== undefined) {
    if (options.project !== undefined) {
      throw new CliError('--project and --server name two places', 'leave one out', { exitCode: 2 })
    }
    const url = serverUrl(options.server)
    const shown = credential ? await givenCredential(context, options) : undefined
    const { httpControl } = await import('../admin/http-control.ts')
    return { control: httpControl({ url, credential: shown }), local: false, config: undefined, serving: true }
  }
  if (options.credentialFile !== undefined) {
    throw new CliError('--credential-file goes with --server', 'add --server <url>', { exitCode: 2 })
  }
  const { project, config, secrets } = await loadProject(context, options, { warn: false })
  mustBeProject(project, config)
  const { httpControl } = await import('../admin/http-control.ts')
  const folder = resolve(project, config.store.folder)
  const socket = controlSocketOf(folder)
  const until = Date.now() + patienceMs
  for (;;) {
    if (await listens(socket)) return { control: httpControl({ socket }), local: true, config, serving: true }
    const { openLocalControl } = await import('./local-control.ts')
    const control = await openLocalControl(project, config, secrets)
    if (control !== undefined) return { control, local: true, config, serving: false }
    if (Date.now() >= until) {
      throw new CliError(
        `another process has ${folder} and does not answer: a server that starts or stops, or another command`,
        'wait until it is done, and run it again',
      )
    }
    await new Promise((waited) => setTimeout(waited, betweenMs))
  }
}

const patienceMs = 5_000
const betweenMs = 50

function serverUrl(text: string): URL {
  const url = URL.parse(text)
  const hint = 'try --server https://mcp.example:4001'
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw new CliError('--server does not take that', hint, { exitCode: 2 })
  }
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '' || url.pathname !== '/') {
    throw new CliError('--server takes a scheme, a host and a port', hint, { exitCode: 2 })
  }
  if (url.protocol === 'http:' && !loopback.test(url.hostname)) {
    throw new CliError(`a credential would go to ${url.host} for all to read`, 'use https, or a tunnel to loopback', {
      exitCode: 2,
    })
  }
  return url
}

const loopback = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/
