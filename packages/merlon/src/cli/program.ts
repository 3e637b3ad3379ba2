import { Command, CommanderError } from 'commander'
import { version } from '../version.ts'
import { registerBuildCommand } from './build.ts'
import { registerConfigCommands } from './config.ts'
import { type CliContext, NobodyReads } from './context.ts'
import { registerNoun } from './control-command.ts'
import { groups, single } from './control-commands.ts'
import { failureOf } from './explain-failure.ts'
import { registerHealthCommand } from './health.ts'
import { registerServerCommands } from './server-command.ts'
import { registerStdioCommand } from './stdio.ts'

/** Runs one command line. Answers its exit code: 0 done, 1 refused or failed, 2 the command line itself is wrong. */
export async function run(args: readonly string[], context: CliContext): Promise<number> {
  const outcome = { exitCode: 0 }
  const exitWith = (exitCode: number) => {
    outcome.exitCode = exitCode
  }
  const program = buildProgram(context, exitWith, args[0] ?? '')
  if (args.length === 0) {
    context.say(program.helpInformation().trimEnd())
    return 2
  }
  try {
    await program.parseAsync(args, { from: 'user' })
    return outcome.exitCode
  } catch (thrown) {
    if (isHelp(thrown) || thrown instanceof NobodyReads) return 0
    // A group such as `config` was named without a command of its own; what it takes has just been printed.
    if (thrown instanceof CommanderError && thrown.code === 'commander.help') return 2
    const { says, hint, exitCode } = failureOf(thrown, commandNamed(program, args))
    context.say(`merlon: ${says}`)
    if (hint !== undefined) context.say(`merlon: hint: ${hint}`)
    return exitCode
  }
}

/**
 * Everything that can be typed; of groups with many commands, those alone that the first word names, where it is given: their
 * flags are made of schemas, which takes longer than all else before a server starts.
 */
export function buildProgram(context: CliContext, exitWith: (exitCode: number) => void, first?: string): Command {
  const program = new Command('merlon')
    .description('A secure MCP server: tools, resources and prompts in folders, served behind every guard.')
    .version(version, '--version', 'print the version')
    .helpOption('--help', 'show what a command takes')
  registerServerCommands(program, context, exitWith)
  registerStdioCommand(program, context, exitWith)
  registerHealthCommand(program, context)
  registerBuildCommand(program, context)
  for (const noun of single) registerNoun(program, noun, context, exitWith)
  for (const [name, nouns] of groups) {
    const group = program.command(name).description(nouns[0]?.does ?? '')
    if (first === undefined || first === name) for (const noun of nouns) registerNoun(group, noun, context, exitWith)
  }
  registerConfigCommands(program, context, exitWith)
  quieten(program, context)
  return program
}

/** Commander prints its errors and leaves the process; ours are printed in one place, and leave by a code. */
function quieten(command: Command, context: CliContext): void {
  command.exitOverride().configureOutput({
    writeOut: (text) => context.out(text.trimEnd()),
    writeErr: (text) => context.say(text.trimEnd()),
    outputError: () => {},
  })
  if (command.commands.length > 0) command.helpCommand(false)
  for (const inner of command.commands) {
    inner.helpOption('--help', 'show what it takes')
    quieten(inner, context)
  }
}

function isHelp(thrown: unknown): boolean {
  if (!(thrown instanceof Error) || !('code' in thrown)) return false
  return thrown.code === 'commander.helpDisplayed' || thrown.code === 'commander.version'
}

/** The deepest command that the words name: `merlon key create`. */
function commandNamed(program: Command, args: readonly string[]): string {
  let command = program
  const names = [program.name()]
  for (const arg of args) {
    const inner = command.commands.find((one) => one.name() === arg)
    if (inner === undefined) break
    names.push(arg)
    command = inner
  }
  return names.join(' ')
}
