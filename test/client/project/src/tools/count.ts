import { defineTool } from 'merlon'
import * as z from 'zod'

export default defineTool({
  name: 'count',
  description: 'Counts, and says how far it has come.',
  input: z.strictObject({ to: z.int().min(1).max(100) }),
  run: ({ to }, ctx) => {
    for (let step = 1; step <= to; step++) ctx.progress(step, to, `step ${step}`)
    return `counted to ${to}`
  },
})
