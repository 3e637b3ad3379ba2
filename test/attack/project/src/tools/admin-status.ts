import { defineTool } from 'merlon'
import * as z from 'zod'
import { ledger } from '../ledger.ts'

export default defineTool({
  name: 'admin_status',
  description: 'Says that an administrator asked.',
  input: z.strictObject({}),
  scope: 'admin',
  run: () => {
    ledger().ran.push('admin_status')
    return 'operational'
  },
})
