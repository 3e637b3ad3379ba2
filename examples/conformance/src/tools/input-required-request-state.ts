import { defineTool } from 'merlon'
import * as z from 'zod'

export default defineTool({
  name: 'test_input_required_result_request_state',
  description: 'Asks for a confirmation and carries state from round to round (SEP-2322).',
  input: z.strictObject({}),
  run: async (_input, ctx) => {
    const requestId = await ctx.once('first-request', () => ctx.requestId)
    const { action } = await ctx.elicit({
      key: 'confirm',
      message: 'Please confirm',
      schema: z.object({ ok: z.boolean() }),
    })
    // In the stateless revision the second round is another request, so only the state can know the first one's id.
    return `state-ok: ${action} for ${requestId}`
  },
})
