import { defineTool } from 'merlon'
import * as z from 'zod'

export default defineTool({
  name: 'test_input_required_result_multiple_inputs',
  description: 'Asks the user, the model and the client at once (SEP-2322).',
  input: z.strictObject({}),
  run: async (_input, ctx) => {
    await ctx.once('asked-at', () => ctx.now())
    const [answer, sample, roots] = await Promise.all([
      ctx.elicit({ key: 'user_name', message: 'What is your name?', schema: z.object({ name: z.string() }) }),
      ctx.sample({
        key: 'greeting',
        messages: [{ role: 'user', content: { type: 'text', text: 'Generate a greeting' } }],
        maxTokens: 50,
      }),
      ctx.roots('client_roots'),
    ])
    return `${JSON.stringify(sample.content)} ${JSON.stringify(answer)} ${roots.length} roots`
  },
})
