import { definePrompt } from 'merlon'
import * as z from 'zod'

export default definePrompt({
  name: 'test_input_required_result_prompt',
  description: 'Asks the user what the prompt should be about (SEP-2322).',
  get: async (_args, ctx) => {
    const answer = await ctx.elicit({
      key: 'user_context',
      message: 'What context should the prompt use?',
      schema: z.object({ context: z.string() }),
    })
    return `Use this context: ${answer.action === 'accept' ? answer.content.context : 'none'}`
  },
})
