import { defineTool } from 'merlon'
import * as z from 'zod'

export default defineTool({
  name: 'ask',
  description: 'Asks the user for a color.',
  input: z.strictObject({}),
  run: async (_input, ctx) => {
    const answer = await ctx.elicit({ message: 'Which color?', schema: z.object({ color: z.string() }) })
    return answer.action === 'accept' ? `The user likes ${answer.content.color}.` : `The user said ${answer.action}.`
  },
})
