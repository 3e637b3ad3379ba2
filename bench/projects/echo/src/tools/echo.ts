import { defineTool } from 'merlon'
import * as z from 'zod'

export default defineTool({
  name: 'echo',
  description: 'Repeats the text.',
  input: z.strictObject({ text: z.string().max(1_000) }),
  run: (input) => input.text,
})
