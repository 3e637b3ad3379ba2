import { defineTool } from 'merlon'
import * as z from 'zod'

export default defineTool({
  name: 'echo-progress',
  description: 'Repeats the text after one report of progress.',
  input: z.strictObject({ text: z.string().max(1_000) }),
  run: (input, ctx) => {
    ctx.progress(1, 2)
    return input.text
  },
})
