import { defineTool } from 'merlon'
import * as z from 'zod'

export default defineTool({
  name: 'add',
  description: 'Adds two numbers.',
  input: z.strictObject({ left: z.number(), right: z.number() }),
  output: z.strictObject({ sum: z.number() }),
  run: ({ left, right }) => ({ sum: left + right }),
})
