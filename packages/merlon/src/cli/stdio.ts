import type { Command } from 'commander'
import { Fault } from '../errors.ts'
import { type CliContext, CliError, loadProject, mustBeProject, type ProjectOption, withProject } from './context.ts'
import { refuseInspection } from './inspection.ts'
import { judgeProcess, lendEnvironment, untilStopped } from './server-command.ts'

const keyName = 'MERLON_API_KEY'
const keyHint = `make a key with \`merlon key create --name host --scopes read,write\`, and give it to the host as ${keyName}`

/** `stdio`: serves the project to the program that starts this one, over its standard streams. */
export function registerStdioCommand(
  program: Command,
  context: CliContext,
  exitWith: (exitCode: number) => void,
): void {
  withProject(program.command('stdio'))
    .description(`serve the project to the program that starts this one, with the key in ${keyName}`)
    .action(async (options: ProjectOption) => {
      // Before a file of the project is loaded: the first line that it prints would be no message.
      const output = takeStdout()
      refuseInspection(context.say)
      const { project, config, origins, secrets } = await loadProject(context, options)
      mustBeProject(project, config)
      await judgeProcess('start', context, { config, origins, secrets })
      const credential = secrets.env[keyName]
      lendEnvironment(secrets.env, secrets.names)
      if (credential === undefined || credential === '') throw new CliError(`${keyName} is not set`, keyHint)
      const { pino } = await import('pino')
      const log = pino(
        { level: config.log.level, base: null, timestamp: pino.stdTimeFunctions.isoTime },
        pino.destination(2),
      )
      const { openStdio } = await import('../app.ts')
      const serving = await openStdio({
        ...{ project, config, secrets, credential, log, output },
        input: process.stdin,
      }).catch(explain)
      const stopped = untilStopped(serving, process, {
        say: context.say,
        fail: (error) => log.fatal({ err: error }, 'unexpected failure; stopping'),
        leave: (exitCode) => process.exit(exitCode),
      })
      const left = serving.ended.then(async () => {
        await serving.close()
        return 0
      })
      exitWith(await Promise.race([stopped, left]))
    })
}

/** Which of the reasons it is, is in the audit log. */
function explain(thrown: unknown): never {
  if (thrown instanceof Fault && thrown.code === 'credential.invalid')
    throw new CliError(`the key in ${keyName} is not good`, keyHint)
  if (thrown instanceof Error && thrown.message.startsWith('another server serves from '))
    throw new CliError(
      thrown.message.replace(/;.*$/s, ''),
      'connect the host to the address of that server, or give this one a folder of its own with MERLON_STORE_FOLDER',
    )
  throw thrown
}

/**
 * Keeps standard output for messages. Whatever else is printed there from now on, by a tool or by what it imports, goes to
 * standard error: to the host it would be a message that is none.
 */
function takeStdout() {
  const { stdout, stderr } = process
  const write = stdout.write.bind(stdout)
  const on = stdout.on.bind(stdout)
  const once = stdout.once.bind(stdout)
  stdout.write = stderr.write.bind(stderr) as typeof stdout.write
  return {
    write: (text: string) => write(text),
    get writableLength() {
      return stdout.writableLength
    },
    on: (event: 'error' | 'close', listener: () => void) => on(event, listener),
    once: (event: 'drain', listener: () => void) => once(event, listener),
  }
}
