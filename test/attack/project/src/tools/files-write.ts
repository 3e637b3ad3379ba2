import { defineTool } from 'merlon'
import * as z from 'zod'
import { ledger } from '../ledger.ts'

export default defineTool({
  name: 'files_write',
  description: 'Needs a scope of its own.',
  input: z.strictObject({}),
  scope: 'files:write',
  run: () => {
    ledger().ran.push('files_write')
    return 'written'
  },
})
