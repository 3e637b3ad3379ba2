import { column, type Noun } from './control-command.ts'

export const subjectNoun: Noun = {
  name: 'subject',
  does: 'block and let in again those whom other issuers speak for',
  prefix: 'blk_',
  commands: [
    {
      name: 'block',
      operation: 'subjects.block',
      does: 'refuse every token of a subject from now on',
      words: ['<subject>'],
      first: 'body.subject',
      flags: {
        'body.issuer': { does: 'who speaks for it, as the configuration names it' },
        'body.tenant': { does: 'in this tenant alone (default: in your tenant, for an operator in every one)' },
      },
      question: (subject) => `Refuse every token of ${subject} from now on?`,
      says: ({ id }) => String(id),
      aside: ({ subject, tenant }) =>
        `${subject} is blocked in ${tenant === undefined ? 'every tenant' : String(tenant)}`,
    },
    {
      name: 'list',
      operation: 'subjects.list',
      does: 'list the blocked subjects',
      flags: {
        'query.issuer': { does: 'only those of this issuer' },
        'query.subject': { does: 'only this subject' },
      },
      columns: [
        column('ID', 'id'),
        column('TENANT', 'tenant'),
        column('ISSUER', 'issuer'),
        column('SUBJECT', 'subject'),
        column('BLOCKED', 'blockedAt'),
        column('BY', 'blockedBy'),
      ],
    },
    {
      name: 'unblock',
      operation: 'subjects.unblock',
      does: 'lift a block, so that the tokens of its subject are taken again',
      words: ['<id>'],
      about: 'thing',
      question: (id) => `Lift ${id}, and take the tokens of its subject again?`,
      says: (_, { words }) => `${words[0]} is lifted`,
    },
  ],
}
