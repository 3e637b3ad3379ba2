import { defineTool } from 'merlon'
import * as z from 'zod'
import { ledger } from '../ledger.ts'

export default defineTool({
  name: 'vault',
  description: 'The name of this tool is a secret to whoever cannot reach it.',
  input: z.strictObject({ door: z.string() }),
  scope: 'vault:open',
  run: () => {
    ledger().ran.push('vault')
    return 'open'
  },
})
