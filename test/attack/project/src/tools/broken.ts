import { defineTool } from 'merlon'
import * as z from 'zod'
import { canary, ledger } from '../ledger.ts'

export default defineTool({
  name: 'broken',
  description: 'Throws.',
  input: z.strictObject({}),
  scope: 'read',
  run: () => {
    ledger().ran.push('broken')
    throw new Error(`${canary} at ${import.meta.filename}`)
  },
})
