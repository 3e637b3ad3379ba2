import { defineTool } from 'merlon'
import * as z from 'zod'
import { ledger } from '../ledger.ts'

export default defineTool({
  name: 'echo',
  description: 'Answers with the text it was given, after one word of progress where that was asked for.',
  input: z.strictObject({ text: z.string().default(''), extra: z.record(z.string(), z.unknown()).optional() }),
  scope: 'read',
  run: async ({ text }, ctx) => {
    ledger().ran.push('echo')
    ctx.progress(1, 1, text)
    return text
  },
})
