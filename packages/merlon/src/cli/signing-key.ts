import { column, type Noun } from './control-command.ts'

const columns = [
  column('ID', 'id'),
  column('ALG', 'alg'),
  column('STATE', 'state'),
  column('CREATED', 'createdAt'),
  column('SIGNS FROM', 'activeFrom'),
]

export const signingKeyNoun: Noun = {
  name: 'signing-key',
  does: 'see and change the keys that sign access tokens',
  commands: [
    { name: 'list', operation: 'signing-keys.list', does: 'list the keys that sign access tokens', columns },
    {
      name: 'rotate',
      operation: 'signing-keys.rotate',
      does: 'publish a new key, which signs a little later',
      says: ({ id }) => String(id),
      aside: ({ id, activeFrom }) => `${id} is published, and signs from ${activeFrom}`,
    },
    {
      name: 'retire',
      operation: 'signing-keys.retire',
      does: 'destroy a key at once, with all that it signed',
      words: ['<id>'],
      about: 'thing',
      question: (id) => `Destroy ${id} at once? Every token that it signed is refused from then on.`,
      says: ({ id }) => `${id} is destroyed`,
    },
  ],
}
