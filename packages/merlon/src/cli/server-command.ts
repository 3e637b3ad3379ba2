import type { Command } from 'commander'
import { credentialNames } from '../config/environment.ts'
import type { LoadedConfig } from '../config/load.ts'
import { type CliContext, CliError, loadProject, mustBeProject, type ProjectOption, withProject } from './context.ts'
import { firstStartText } from './first-start.ts'
import { refuseInspection } from './inspection.ts'

/** A running server, as much of it as a command needs. */
export interface RunningServer {
  /** The address of the MCP endpoint. */
  readonly url: string
  /** The same in clear, where TLS has a port of its own. */
  readonly clearUrl: string | undefined
  /** The address of the control plane; it may have none. */
  readonly control: { readonly url: string | undefined }
  readonly firstStart: { readonly key: string; readonly expiresAt: number } | undefined
  close(): Promise<void>
}

/** The part of `process` that a server listens to, so that a test can send signals of its own. */
export interface Signals {
  on(event: string, listener: (reason: unknown) => void): unknown
  off(event: string, listener: (reason: unknown) => void): unknown
}

/** `start` and `dev`. They differ in what they load: the built project, or its sources, watched. */
export function registerServerCommands(
  program: Command,
  context: CliContext,
  exitWith: (exitCode: number) => void,
): void {
  for (const [mode, does] of [
    ['start', 'serve the project'],
    ['dev', 'serve the sources of the project, and load them again when they change'],
  ] as const) {
    withProject(program.command(mode))
      .description(does)
      .action(async (options: ProjectOption) => {
        if (mode === 'start') refuseInspection(context.say)
        const { project, config, origins, secrets } = await loadProject(context, options)
        mustBeProject(project, config)
        await judgeProcess(mode, context, { config, origins, secrets })
        lendEnvironment(secrets.env, secrets.names)
        const { pino } = await import('pino')
        const log = pino(
          { level: config.log.level, base: null, timestamp: pino.stdTimeFunctions.isoTime },
          pino.destination(2),
        )
        const { openServer } = await import('../app.ts')
        const server: RunningServer = await openServer({ project, config, secrets, mode, log })
        // Before a word is printed: whoever reads that it serves may stop it at once.
        const stopped = untilStopped(server, process, {
          say: context.say,
          fail: (error) => log.fatal({ err: error }, 'unexpected failure; stopping'),
          leave: (exitCode) => process.exit(exitCode),
        })
        const control = server.control.url === undefined ? '' : `\nControl plane: ${server.control.url}`
        const clear = server.clearUrl === undefined ? '' : `\nIn clear: ${server.clearUrl}`
        context.out(`Merlon serves ${server.url}${clear}${control}`)
        if (server.firstStart !== undefined) {
          const { publicUrl, endpoint } = config.server
          const places = {
            name: config.name,
            local: server.url,
            endpoint: publicUrl === undefined ? server.url : `${publicUrl}${endpoint}`,
            command: nextKeyCommand(context.env, options.project),
            operatorCommand: `${merlonCommand(context.env)} user create --operator --email you@company.example${projectFlag(options.project)}`,
          }
          context.out(`\n${firstStartText(places, server.firstStart)}`)
        }
        exitWith(await stopped)
      })
  }
}

/** Refuses to start what the audit calls fatal, as far as the process itself shows it; `dev` only says so. */
export async function judgeProcess(
  mode: 'start' | 'dev',
  context: CliContext,
  loaded: Pick<LoadedConfig, 'config' | 'origins' | 'secrets'>,
): Promise<void> {
  const { fatalAtStart, startLine } = await import('../config-audit/at-start.ts')
  const source = { versions: process.versions, execArgv: process.execArgv, env: context.env }
  const findings = fatalAtStart(source, loaded)
  if (mode === 'dev') {
    for (const finding of findings) context.say(`merlon: warning: ${startLine(finding)}`)
  } else if (findings[0] !== undefined) {
    throw new CliError(findings.map(startLine).join('\n  '), findings[0].rule.fix.replace(/\.$/, ''))
  }
}

/** How whoever started this makes the next key: through npm where they started it with npm. */
function nextKeyCommand(env: CliContext['env'], project: string | undefined): string {
  if (startedByScript(env)) return 'npm run generate-keys'
  return `${merlonCommand(env)} generate-keys${projectFlag(project)}`
}

/** Where npm or npx started this, `merlon` is not on the path. */
function merlonCommand(env: CliContext['env']): string {
  return startedByScript(env) || env['npm_command'] === 'exec' ? 'npx merlon' : 'merlon'
}

function startedByScript(env: CliContext['env']): boolean {
  return /^(?:start|dev)$/.test(env['npm_lifecycle_event'] ?? '')
}

function projectFlag(project: string | undefined): string {
  return project === undefined ? '' : ` --project ${project}`
}

/**
 * Waits for SIGINT or SIGTERM, then closes the server and answers 0. A second signal leaves at once. Something thrown
 * that nobody caught is logged once, and the server closes with 1: what it left behind is not known.
 */
export function untilStopped(
  server: Pick<RunningServer, 'close'>,
  signals: Signals,
  { say, fail, leave }: { say(text: string): void; fail(error: unknown): void; leave(exitCode: number): void },
): Promise<number> {
  return new Promise((resolve) => {
    let stopping = false
    const stop = (exitCode: number): void => {
      if (stopping) {
        leave(1)
        return
      }
      stopping = true
      server.close().then(
        () => finish(exitCode),
        (error) => {
          fail(error)
          finish(1)
        },
      )
    }
    const onSignal = (): void => {
      if (!stopping) say('merlon: finishing what is under way; a second signal stops at once')
      stop(0)
    }
    const onFailure = (error: unknown): void => {
      if (stopping) return
      fail(error)
      stop(1)
    }
    const listeners: readonly (readonly [string, (reason: unknown) => void])[] = [
      ['SIGINT', onSignal],
      ['SIGTERM', onSignal],
      ['uncaughtException', onFailure],
      ['unhandledRejection', onFailure],
    ]
    const finish = (exitCode: number): void => {
      for (const [event, listener] of listeners) signals.off(event, listener)
      resolve(exitCode)
    }
    for (const [event, listener] of listeners) signals.on(event, listener)
  })
}

/** Gives `.env` to the tools, as every Node.js project expects, and takes our own secrets, and credentials of ours, out of their reach. */
export function lendEnvironment(env: Readonly<Record<string, string>>, secretNames: readonly string[]): void {
  for (const [name, value] of Object.entries(env)) process.env[name] ??= value
  for (const name of [...secretNames, ...credentialNames]) delete process.env[name]
}
