import { defineTool } from 'merlon'
import * as z from 'zod'

export default defineTool({
  name: 'think',
  description: 'Asks the model of the client.',
  input: z.strictObject({ about: z.string() }),
  run: async ({ about }, ctx) => {
    const { model, content } = await ctx.sample({
      messages: [{ role: 'user', content: { type: 'text', text: about } }],
      maxTokens: 10,
    })
    return `${model}: ${JSON.stringify(content)}`
  },
})
