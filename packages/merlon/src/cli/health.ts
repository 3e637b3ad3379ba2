import { request as requestInClear } from 'node:http'
import { request as requestOverTls } from 'node:https'
import { setTimeout as wait } from 'node:timers/promises'
import type { Command } from 'commander'
import { listening } from '../config/listening.ts'
import type { Config } from '../config/schema.ts'
import { ownHosts } from '../guard/own-hosts.ts'
import { type CliContext, CliError, loadProject, type ProjectOption, withProject } from './context.ts'

/** Shorter than what engines give a check by custom (3 s), so that it is this command that says what is wrong. */
const answerMs = 2_500
const againMs = 100
const waitSecondsMax = 600

/** What is asked, and of whom. */
export interface Question {
  readonly tls: boolean
  readonly address: string
  readonly port: number
  readonly path: string
  /** The Host that the server knows itself by. */
  readonly host: string
  /** Whether a 401 is a sign of life too: the path asks for a credential, and this command shows none. */
  readonly asksWho: boolean
}

type HealthOptions = ProjectOption & { ready?: true; wait?: string }

/**
 * `health`: whether the server of this project lives, or takes calls. For engines and supervisors: it needs no shell and no
 * other program, ends within its time whatever the server does, and says by its exit code what there is to say.
 */
export function registerHealthCommand(program: Command, context: CliContext): void {
  withProject(program.command('health'))
    .description('ask the server of the project, on this machine, whether it lives')
    .option('--ready', 'ask whether it takes calls')
    .option('--wait <seconds>', 'ask again until it does, for so long')
    .action(async (options: HealthOptions) => {
      const until = performance.now() + waitMs(options.wait)
      const { config } = await loadProject(context, options, { warn: false })
      const question = questionFor(config, options.ready === true)
      for (;;) {
        const problem = await problemWith(question, answerMs)
        if (problem === undefined) break
        if (performance.now() + againMs >= until) throw new CliError(problem)
        await wait(againMs)
      }
      context.out(options.ready ? 'ready' : 'ok')
    })
}

function waitMs(text: string | undefined): number {
  if (text === undefined) return 0
  const seconds = /^[0-9]{1,3}$/.test(text) ? Number(text) : Number.NaN
  if (seconds <= waitSecondsMax) return seconds * 1_000
  throw new CliError(`--wait takes whole seconds, up to ${waitSecondsMax}`, 'such as --wait 30', { exitCode: 2 })
}

/** Whom to ask for what, by the settings of the project. */
export function questionFor(config: Config, ready: boolean): Question {
  const { server, health } = config
  const { clear, tls } = listening(config)
  const shown = config.tls.clientCertificate === 'required'
  if (clear === undefined && shown) {
    const says = 'the server wants a certificate of whoever asks (tls.clientCertificate), and this command has none'
    throw new CliError(says, 'give TLS a port of its own (tls.port), and server.port on loopback is asked instead')
  }
  // Where it listens twice, clients elsewhere call over TLS: there it is ready only while its certificate is good.
  const overTls = tls !== undefined && !shown
  const { host, port } = overTls ? tls : clear!
  if (port === 0) {
    throw new CliError('the server takes whatever port is free, which only it knows', 'set server.port, or PORT')
  }
  if (!ready && !health.enabled) {
    throw new CliError('the health path is switched off (health.enabled)', '`merlon health --ready` asks without it')
  }
  return {
    tls: overTls,
    address: host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host,
    port,
    path: ready ? '/ready' : health.path,
    host: server.allowedHosts?.[0] ?? ownHosts(overTls ? 'https' : 'http', host, port)[0]!,
    asksWho: !ready && health.authentication,
  }
}

/** Asks once. What is wrong, in words, or nothing; never longer than `timeoutMs`. */
export function problemWith(question: Question, timeoutMs: number): Promise<string | undefined> {
  const { address, port, path, host } = question
  const where = `${address.includes(':') ? `[${address}]` : address}:${port}`
  return new Promise((answer) => {
    const timer = setTimeout(() => end(`${where} does not answer within ${timeoutMs} ms`), timeoutMs)
    const end = (problem: string | undefined): void => {
      clearTimeout(timer)
      answer(problem)
      asking.destroy()
    }
    const asking = (question.tls ? requestOverTls : requestInClear)(
      // Whether others trust its certificate is not asked here: nothing secret is sent, and a certificate that has run out
      // is not mended by starting the server again.
      { host: address, port, path, headers: { host }, agent: false, rejectUnauthorized: false },
      ({ statusCode: status }) => {
        if (status === 200 || (status === 401 && question.asksWho)) end(undefined)
        else if (status === 503) end(`${where} is there, and not ready`)
        else end(`${where} answers ${path} with ${status}`)
      },
    )
    asking.on('error', (error: NodeJS.ErrnoException) =>
      end(`nothing answers at ${where} (${error.code ?? error.message})`),
    )
    asking.end()
  })
}
