import { CliError } from './context.ts'
import { column, type Noun } from './control-command.ts'

const about = { words: ['<id>'], about: 'thing' } as const
const metadata = { does: 'JSON for your own use, or @ and the name of a file of it' }

export const agentNoun: Noun = {
  name: 'agent',
  does: 'make and manage agents: programs that act with keys of their own',
  prefix: 'agt_',
  get: 'agents.get',
  label: ({ name }) => String(name),
  commands: [
    {
      name: 'create',
      operation: 'agents.create',
      does: 'make an agent',
      words: ['<name>'],
      first: 'body.name',
      flags: {
        'body.type': { does: 'what sort of agent it is, such as assistant' },
        'body.capabilities': { does: 'what it says it can do' },
        'body.metadata': metadata,
        'body.owner': { does: 'the user whose role bounds it (default: you)', user: true },
      },
      prepare: ({ body }, { asking }) => {
        if (body['owner'] !== undefined || !asking.local) return
        throw new CliError('an agent has an owner, and the local operator is no user', 'add --owner <user>', {
          exitCode: 2,
        })
      },
      says: ({ id }) => String(id),
      aside: ({ id, name }) => `${name} is made; give it a key: merlon key create --agent ${id} …`,
    },
    {
      name: 'list',
      operation: 'agents.list',
      does: 'list the agents',
      flags: { 'query.owner': { does: 'only those of this user', user: true } },
      columns: [
        column('ID', 'id'),
        column('TENANT', 'tenant'),
        column('NAME', 'name'),
        column('TYPE', 'type'),
        column('OWNER', 'owner'),
        column('STATE', 'status'),
      ],
    },
    { name: 'show', operation: 'agents.get', does: 'show an agent', ...about },
    {
      name: 'update',
      operation: 'agents.update',
      does: 'change an agent',
      ...about,
      flags: { 'body.metadata': metadata },
      says: ({ id }) => `${id} is changed`,
    },
    {
      name: 'disable',
      operation: 'agents.update',
      does: 'refuse every key of an agent from now on',
      ...about,
      flagless: true,
      fixed: { body: { status: 'inactive' } },
      question: (name) => `Refuse every key of ${name} from now on?`,
      says: ({ name }) => `${name} is disabled`,
    },
    {
      name: 'enable',
      operation: 'agents.update',
      does: 'let the keys of an agent act again',
      ...about,
      flagless: true,
      fixed: { body: { status: 'active' } },
      says: ({ name }) => `${name} is enabled`,
    },
    {
      name: 'remove',
      operation: 'agents.remove',
      does: 'take an agent away for good, and revoke its keys',
      ...about,
      question: (name) => `Take ${name} away for good, and revoke its keys?`,
      says: (_, { words }) => `${words[0]} is removed`,
    },
  ],
}
