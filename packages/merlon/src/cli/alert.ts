import { column, type Noun } from './control-command.ts'

export const alertNoun: Noun = {
  name: 'alert',
  does: 'see and take on alerts',
  commands: [
    {
      name: 'list',
      operation: 'alerts.list',
      does: 'list the alerts: what is open, then what is over',
      columns: [
        column('ID', 'id'),
        column('RULE', 'rule'),
        column('SEVERITY', 'severity'),
        column('STATE', 'state'),
        column('SINCE', 'startedAt'),
        column('TAKEN ON BY', 'acknowledgedBy'),
        column('WHAT', 'says'),
      ],
    },
    {
      name: 'ack',
      operation: 'alerts.acknowledge',
      does: 'say that you have taken an alert on',
      words: ['<id>'],
      about: 'thing',
      says: ({ id, acknowledgedBy }) => `${id} is taken on by ${acknowledgedBy}`,
    },
  ],
}
