import { column, type Noun } from './control-command.ts'

const about = { words: ['<id>'], about: 'thing' } as const

export const sessionNoun: Noun = {
  name: 'session',
  does: 'see and end open MCP sessions',
  get: 'sessions.get',
  commands: [
    {
      name: 'list',
      operation: 'sessions.list',
      does: 'list the open sessions',
      flags: {
        'query.tenant': { does: 'only those of this tenant' },
        'query.principal': { does: 'only those of this user, agent or subject, by id' },
        'query.credential': { does: 'only those that were opened with this key or sign-in, by id' },
      },
      columns: [
        column('ID', 'id'),
        column('TENANT', 'tenant'),
        column('PRINCIPAL', 'principal'),
        column('CREDENTIAL', 'credential'),
        { head: 'CLIENT', of: ({ client }) => (client as { name?: string } | undefined)?.name },
        column('OPENED', 'openedAt'),
        column('USED', 'usedAt'),
      ],
    },
    { name: 'show', operation: 'sessions.get', does: 'show an open session', ...about },
    {
      name: 'end',
      operation: 'sessions.end',
      does: 'end a session, with its streams and what is under way',
      ...about,
      question: (id) => `End ${id}, with its streams and what is under way?`,
      says: (_, { words }) => `${words[0]} is ended`,
    },
  ],
}
