import { CliError } from './context.ts'
import { column, type Noun, type Thing } from './control-command.ts'
import { json, lines } from './plain.ts'

export const roleNoun: Noun = {
  name: 'role',
  does: 'see the roles of the configuration',
  commands: [
    {
      name: 'list',
      operation: 'roles.list',
      does: 'list the roles and what each may do',
      columns: [column('NAME', 'name'), column('SCOPES', 'scopes')],
    },
    {
      name: 'show',
      operation: 'roles.list',
      does: 'show a role',
      words: ['<name>'],
      run: async ({ asking, context, options, words }) => {
        const { body } = await asking.control.call('roles.list')
        const role = (body as { items: readonly Thing[] }).items.find(({ name }) => name === words[0])
        if (role === undefined) {
          throw new CliError(`no role named ${words[0]}`, '`merlon role list` shows the roles of the configuration')
        }
        context.out(options.json ? json(role) : lines(role))
      },
    },
  ],
}
