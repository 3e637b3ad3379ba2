import { recordColumns } from './audit-records.ts'
import { followAudit } from './audit-tail.ts'
import { verifyCommand } from './audit-verify.ts'
import type { Noun } from './control-command.ts'

export const auditNoun: Noun = {
  name: 'audit',
  does: 'read and verify the audit log',
  commands: [
    {
      name: 'query',
      operation: 'audit.query',
      does: 'list records, the newest first',
      columns: recordColumns,
    },
    {
      name: 'tail',
      operation: 'audit.query',
      does: 'print the last records, and those to come while a server runs; what reads the log is left out',
      flags: { 'query.cursor': { hidden: true }, 'query.limit': { flag: 'lines', does: 'how many of the last' } },
      run: followAudit,
    },
    {
      name: 'export',
      operation: 'audit.export',
      does: 'print all records that fit, oldest first',
      raw: true,
    },
    verifyCommand,
    {
      name: 'head',
      operation: 'audit.head',
      unknown: {
        says: 'nothing is signed yet',
        hint: 'look into the log of the server',
      },
      does: 'print the newest signed head; keep it elsewhere, for it proves later what the log said',
      says: (head) => JSON.stringify(head),
    },
    {
      name: 'key',
      operation: 'audit.key',
      does: 'print the public key that heads are verified with',
      says: ({ publicKey }) => String(publicKey).trimEnd(),
    },
  ],
}
