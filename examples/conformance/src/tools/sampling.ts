import { defineTool } from 'merlon'
import * as z from 'zod'

export default defineTool({
  name: 'test_sampling',
  description: 'Asks the model of the client.',
  input: z.strictObject({ prompt: z.string().describe('What to ask the model.') }),
  run: async ({ prompt }, ctx) => {
    const { content } = await ctx.sample({
      messages: [{ role: 'user', content: { type: 'text', text: prompt } }],
      maxTokens: 100,
    })
    return `LLM response: ${JSON.stringify(content)}`
  },
})
