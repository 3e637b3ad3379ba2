import type { Command } from 'commander'
import { registerConfigAudit } from './config-audit.ts'
import { type CliContext, loadProject, type ProjectOption, withProject } from './context.ts'

/** `config show`, `config check`, `config schema`, `config audit`. None of them starts anything. */
export function registerConfigCommands(
  program: Command,
  context: CliContext,
  exitWith: (exitCode: number) => void,
): void {
  const config = program.command('config').description('see and check the settings')

  withProject(config.command('show'))
    .description('print every setting in force and where it came from')
    .option('--json', 'print JSON')
    .action(async (options: ProjectOption & { json?: true }) => {
      const { explain, explainTable } = await import('../config/explain.ts')
      const rows = explain(await loadProject(context, options))
      context.out(options.json ? JSON.stringify(rows, null, 2) : explainTable(rows))
    })

  withProject(config.command('check'))
    .description('check the settings and secrets, and say every problem at once')
    .option('--json', 'print JSON')
    .action(async (options: ProjectOption & { json?: true }) => {
      const { ConfigError } = await import('../config/problem.ts')
      try {
        const { warnings } = await loadProject(context, options)
        context.out(options.json ? JSON.stringify({ problems: [], warnings }, null, 2) : 'the configuration is good')
      } catch (thrown) {
        if (options.json && thrown instanceof ConfigError) {
          context.out(JSON.stringify({ problems: thrown.problems, warnings: [] }, null, 2))
        }
        throw thrown
      }
    })

  registerConfigAudit(config, context, exitWith)

  config
    .command('schema')
    .description('print the JSON Schema of merlon.config.json')
    .action(async () => {
      const { configSchemaText } = await import('../config/reference.ts')
      context.out(configSchemaText().trimEnd())
    })
}
