import { CliError } from './context.ts'
import { column, type Noun } from './control-command.ts'
import { givenSecret, isGiven } from './secret-input.ts'

const about = { words: ['<name>'], about: 'thing' } as const
const role = { does: 'a role of the configuration, as role list shows them' }
const email = { does: 'what the user signs in with' }
const passwordOfNew = { word: 'password', question: 'Password (empty: cannot sign in)', twice: true } as const

export const userNoun: Noun = {
  name: 'user',
  does: 'make and manage the users that sign in and that keys act for',
  prefix: 'usr_',
  get: 'users.get',
  find: 'users.list',
  label: ({ name }) => String(name),
  commands: [
    {
      name: 'create',
      operation: 'users.create',
      does: 'make a user',
      words: ['[name]'],
      first: 'body.name',
      flags: { 'body.tenant': { does: 'its tenant (default: your own)' }, 'body.role': role, 'body.email': email },
      secret: { ...passwordOfNew, prepared: true },
      more: (command) => command.option('--operator', 'the role operator, which manages every tenant'),
      prepare: async ({ body }, { context, options }) => {
        if (options['operator']) {
          if (body['role'] !== undefined) {
            throw new CliError('--operator and --role name two roles', 'leave one out', { exitCode: 2 })
          }
          body['role'] = 'operator'
        }
        // Whoever is known by an e-mail need not think of a name as well.
        if (body['name'] === undefined && typeof body['email'] === 'string')
          body['name'] = body['email'].split('@', 1)[0]
        if (body['email'] === undefined && !isGiven(options, 'password')) return
        const password = await givenSecret(context, options, passwordOfNew)
        if (password !== undefined) body['password'] = password
      },
      says: ({ id }) => String(id),
      aside: ({ name, tenant, role, hasPassword }) => {
        const key = `merlon key create --user ${name} --tenant ${tenant} …`
        return `${name} of ${tenant} has the role ${role}; ${hasPassword ? 'they can sign in' : `make a key: ${key}`}`
      },
    },
    {
      name: 'list',
      operation: 'users.list',
      does: 'list the users',
      columns: [
        column('ID', 'id'),
        column('TENANT', 'tenant'),
        column('NAME', 'name'),
        column('E-MAIL', 'email'),
        column('ROLE', 'role'),
        column('STATE', 'status'),
        column('PASSWORD', 'hasPassword'),
      ],
    },
    { name: 'show', operation: 'users.get', does: 'show a user', ...about },
    {
      name: 'update',
      operation: 'users.update',
      does: 'change a user',
      ...about,
      flags: { 'body.role': role, 'body.email': email },
      says: ({ name }) => `${name} is changed`,
    },
    {
      name: 'disable',
      operation: 'users.update',
      does: 'refuse every key and sign-in of a user from now on',
      ...about,
      flagless: true,
      fixed: { body: { status: 'disabled' } },
      question: (name) => `Refuse every key and sign-in of ${name} from now on?`,
      says: ({ name }) => `${name} is disabled`,
    },
    {
      name: 'enable',
      operation: 'users.update',
      does: 'let the keys of a user act again',
      ...about,
      flagless: true,
      fixed: { body: { status: 'active' } },
      says: ({ name }) => `${name} is enabled`,
    },
    {
      name: 'set-password',
      operation: 'users.set-password',
      does: 'give a user a new password, and end their sign-ins',
      ...about,
      secret: { word: 'password', question: 'New password', twice: true },
      says: (_, { words }) => `${words[0]} has a new password, and is signed out`,
    },
    {
      name: 'remove-second-factor',
      operation: 'users.remove-second-factor',
      does: 'take the second factor of a user away, who has lost it, and end their sign-ins',
      ...about,
      question: (name) => `Let ${name} sign in with the password alone?`,
      says: (_, { words }) => `${words[0]} has no second factor, and is signed out`,
    },
    {
      name: 'remove',
      operation: 'users.remove',
      does: 'take a user away for good, with their agents, keys and sign-ins',
      ...about,
      question: (name) => `Take ${name} away for good, with their agents, keys and sign-ins?`,
      says: (_, { words }) => `${words[0]} is removed`,
    },
  ],
}
