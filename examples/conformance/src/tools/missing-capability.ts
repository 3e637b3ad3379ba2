import { defineTool } from 'merlon'
import * as z from 'zod'

export default defineTool({
  name: 'test_missing_capability',
  description: 'Needs the sampling capability of the client.',
  input: z.strictObject({}),
  run: async (_input, ctx) => {
    const { content } = await ctx.sample({
      messages: [{ role: 'user', content: { type: 'text', text: 'Are you there?' } }],
      maxTokens: 10,
    })
    return `LLM response: ${JSON.stringify(content)}`
  },
})
