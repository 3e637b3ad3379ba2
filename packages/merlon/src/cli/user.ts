import type { Command } from 'commander'
import { localOperator } from '../identity/keys.ts'
import { type CliContext, CliError, type ProjectOption, withProject } from './context.ts'
import { mustConfirm, refusal, withKeys } from './key.ts'

interface UserOptions extends ProjectOption {
  readonly tenant: string
}

/** `user create`, `disable`, `enable`: whom keys act for. A key never reaches further than the role of its user. */
export function registerUserCommands(program: Command, context: CliContext): void {
  const user = program.command('user').description('make, disable and enable the users that keys act for')
  const one = (name: string, does: string): Command =>
    withProject(user.command(name))
      .description(does)
      .argument('<name>', 'the name of the user')
      .option('--tenant <name>', 'the tenant of the user', 'default')

  one('create', 'make a user, and its tenant where it is the first there')
    .requiredOption('--role <role>', 'a role of the configuration, such as user or admin')
    .option('--json', 'print JSON')
    .action((name: string, options: UserOptions & { role: string; json?: true }) =>
      withKeys(context, options, async (keys) => {
        const { tenant, role } = options
        const made = await keys.createUser({ tenant, name, role }, localOperator)
        if (!made.ok) {
          if (made.reason === 'name-taken')
            throw new CliError(`there is a user named ${name} in ${tenant}`, 'choose another name')
          throw refusal(made.reason, { user: name })
        }
        const { id } = made.user
        context.out(options.json ? JSON.stringify({ id, tenant, name, role }, null, 2) : id)
        context.say(
          `merlon: ${name} of ${tenant} has the role ${role}; make a key: merlon key create --user ${name} --tenant ${tenant} …`,
        )
      }),
    )

  one('disable', 'refuse every key of a user from now on')
    .option('--yes', 'do not ask')
    .action((name: string, options: UserOptions & { yes?: true }) =>
      withKeys(context, options, async (keys) => {
        await mustConfirm(context, options, `Refuse every key of ${name} from now on?`)
        const done = await keys.setUserStatus({ tenant: options.tenant, name }, 'disabled', localOperator)
        if (!done.ok) throw refusal(done.reason, { user: name })
        context.out(`${name} is disabled`)
      }),
    )

  one('enable', 'let the keys of a user act again').action((name: string, options: UserOptions) =>
    withKeys(context, options, async (keys) => {
      const done = await keys.setUserStatus({ tenant: options.tenant, name }, 'active', localOperator)
      if (!done.ok) throw refusal(done.reason, { user: name })
      context.out(`${name} is enabled`)
    }),
  )
}
