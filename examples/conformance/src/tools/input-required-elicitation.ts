import { defineTool } from 'merlon'
import * as z from 'zod'

export default defineTool({
  name: 'test_input_required_result_elicitation',
  description: 'Asks the user for a name (SEP-2322).',
  input: z.strictObject({}),
  run: async (_input, ctx) => {
    const answer = await ctx.elicit({
      key: 'user_name',
      message: 'What is your name?',
      schema: z.object({ name: z.string() }),
    })
    return answer.action === 'accept' ? `Hello, ${answer.content.name}!` : 'Hello, whoever you are!'
  },
})
