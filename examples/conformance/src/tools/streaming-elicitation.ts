import { defineTool } from 'merlon'
import * as z from 'zod'

export default defineTool({
  name: 'test_streaming_elicitation',
  description: 'Asks the user in the midst of a call.',
  input: z.strictObject({}),
  run: async (_input, ctx) => {
    const { action } = await ctx.elicit({
      key: 'confirm',
      message: 'Please confirm to go on',
      schema: z.object({ ok: z.boolean() }),
    })
    return `Elicitation completed: ${action}`
  },
})
