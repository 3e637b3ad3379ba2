import { defineTool } from 'merlon'
import * as z from 'zod'

export default defineTool({
  name: 'test_input_required_result_capabilities',
  description: 'Asks only what the client can answer (SEP-2322).',
  input: z.strictObject({}),
  run: async (_input, ctx) => {
    const answers = await Promise.all([
      ctx.can('elicitation')
        ? ctx.elicit({ key: 'user_name', message: 'What is your name?', schema: z.object({ name: z.string() }) })
        : undefined,
      ctx.can('sampling')
        ? ctx.sample({
            key: 'greeting',
            messages: [{ role: 'user', content: { type: 'text', text: 'Generate a greeting' } }],
            maxTokens: 50,
          })
        : undefined,
    ])
    return `Answers: ${answers.filter((answer) => answer !== undefined).length}`
  },
})
