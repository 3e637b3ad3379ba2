import { column, type Noun } from './control-command.ts'
import { userNoun } from './user.ts'

export const signInNoun: Noun = {
  name: 'sign-in',
  does: 'see and end the sign-ins of users',
  prefix: 'sgn_',
  commands: [
    {
      name: 'list',
      operation: 'sign-ins.list',
      does: 'list the sign-ins, ended ones included',
      flags: { 'query.user': { does: 'only those of this user', user: true } },
      columns: [
        column('ID', 'id'),
        column('TENANT', 'tenant'),
        column('USER', 'user'),
        column('FROM', 'address'),
        column('BEGAN', 'createdAt'),
        column('ENDS', 'expiresAt'),
        column('REVOKED', 'revokedAt'),
      ],
    },
    {
      name: 'revoke',
      operation: 'sign-ins.revoke',
      does: 'end a sign-in for good',
      words: ['<id>'],
      about: 'thing',
      question: (id) => `End ${id} for good?`,
      says: (_, { words }) => `${words[0]} is revoked`,
    },
  ],
}

/** Its word names a user, not a sign-in. */
export const signInsOfUserNoun: Noun = {
  ...userNoun,
  commands: [
    {
      name: 'sign-out',
      operation: 'sign-ins.revoke-all',
      does: 'end all sign-ins of a user',
      words: ['<name>'],
      about: 'thing',
      question: (name) => `End all sign-ins of ${name}?`,
      says: ({ ended }, { words }) => `${words[0]} is signed out; ${ended} were open`,
    },
  ],
}
