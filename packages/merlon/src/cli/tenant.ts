import { column, type Noun } from './control-command.ts'

const about = { words: ['<tenant>'], about: 'thing' } as const
const scopes = { does: 'what its credentials are limited to' }

export const tenantNoun: Noun = {
  name: 'tenant',
  does: 'make and manage tenants, whose things are kept apart',
  get: 'tenants.get',
  label: ({ id }) => String(id),
  commands: [
    {
      name: 'create',
      operation: 'tenants.create',
      does: 'make a tenant',
      words: ['<tenant>'],
      first: 'body.id',
      flags: { 'body.name': { does: 'a name for people to read' }, 'body.scopes': scopes },
      says: ({ id }) => String(id),
      aside: ({ id }) => `${id} is made; make its first user: merlon user create … --tenant ${id} --role admin`,
    },
    {
      name: 'list',
      operation: 'tenants.list',
      does: 'list the tenants',
      columns: [
        column('ID', 'id'),
        column('NAME', 'name'),
        column('STATE', 'status'),
        { head: 'LIMITED TO', of: ({ scopes }) => scopes },
      ],
    },
    { name: 'show', operation: 'tenants.get', does: 'show a tenant', ...about },
    {
      name: 'update',
      operation: 'tenants.update',
      does: 'change a tenant',
      ...about,
      flags: { 'body.name': { does: 'a name for people to read' }, 'body.scopes': scopes },
      says: ({ id }) => `${id} is changed`,
    },
    {
      name: 'disable',
      operation: 'tenants.update',
      does: 'refuse every credential of a tenant from now on',
      ...about,
      flagless: true,
      fixed: { body: { status: 'suspended' } },
      question: (id) => `Refuse every credential of ${id} from now on?`,
      says: ({ id }) => `${id} is suspended`,
    },
    {
      name: 'enable',
      operation: 'tenants.update',
      does: 'let the credentials of a tenant act again',
      ...about,
      flagless: true,
      fixed: { body: { status: 'active' } },
      says: ({ id }) => `${id} is active`,
    },
  ],
}
