import { defineTool } from 'merlon'
import * as z from 'zod'

export default defineTool({
  name: 'test_input_required_result_sampling',
  description: 'Asks the model of the client for a capital (SEP-2322).',
  input: z.strictObject({}),
  run: async (_input, ctx) => {
    const { content } = await ctx.sample({
      key: 'capital_question',
      messages: [{ role: 'user', content: { type: 'text', text: 'What is the capital of France?' } }],
      maxTokens: 100,
    })
    return `The model says: ${JSON.stringify(content)}`
  },
})
