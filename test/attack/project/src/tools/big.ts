import { defineTool } from 'merlon'
import * as z from 'zod'
import { ledger } from '../ledger.ts'

export default defineTool({
  name: 'big',
  description: 'Answers with as many bytes as it was asked for.',
  input: z.strictObject({ bytes: z.int().min(0).max(8_388_608) }),
  scope: 'read',
  run: ({ bytes }) => {
    ledger().ran.push('big')
    return 'x'.repeat(bytes)
  },
})
