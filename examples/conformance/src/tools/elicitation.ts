import { defineTool } from 'merlon'
import * as z from 'zod'

export default defineTool({
  name: 'test_elicitation',
  description: 'Asks the user for a name and an address.',
  input: z.strictObject({ message: z.string().describe('What to tell the user.') }),
  run: async ({ message }, ctx) => {
    const answer = await ctx.elicit({
      message,
      schema: {
        type: 'object',
        properties: {
          username: { type: 'string', description: "User's response" },
          email: { type: 'string', description: "User's email address" },
        },
        required: ['username', 'email'],
      },
    })
    return `User response: ${JSON.stringify(answer)}`
  },
})
