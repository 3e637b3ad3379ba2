import { defineTool } from 'merlon'
import * as z from 'zod'

export default defineTool({
  name: 'test_input_required_result_tampered_state',
  description: 'Carries state that must come back as it was sent (SEP-2322).',
  input: z.strictObject({}),
  run: async (_input, ctx) => {
    await ctx.once('asked-at', () => ctx.now())
    const { action } = await ctx.elicit({
      key: 'confirm',
      message: 'Please confirm',
      schema: z.object({ ok: z.boolean() }),
    })
    return `Confirmed: ${action}`
  },
})
