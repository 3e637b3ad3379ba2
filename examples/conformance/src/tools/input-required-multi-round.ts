import { defineTool, ToolError } from 'merlon'
import * as z from 'zod'

export default defineTool({
  name: 'test_input_required_result_multi_round',
  description: 'Asks the user twice, one question after the other (SEP-2322).',
  input: z.strictObject({}),
  run: async (_input, ctx) => {
    await ctx.once('asked-at', () => ctx.now())
    const first = await ctx.elicit({
      key: 'step1',
      message: 'Step 1: What is your name?',
      schema: z.object({ name: z.string() }),
    })
    if (first.action !== 'accept') throw new ToolError('No name was given.')
    const second = await ctx.elicit({
      key: 'step2',
      message: 'Step 2: What is your favorite color?',
      schema: z.object({ color: z.string() }),
    })
    if (second.action !== 'accept') throw new ToolError('No color was given.')
    return `${first.content.name} likes ${second.content.color}.`
  },
})
