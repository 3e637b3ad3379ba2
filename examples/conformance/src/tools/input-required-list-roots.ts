import { defineTool } from 'merlon'
import * as z from 'zod'

export default defineTool({
  name: 'test_input_required_result_list_roots',
  description: 'Asks the client for its roots (SEP-2322).',
  input: z.strictObject({}),
  run: async (_input, ctx) => {
    const roots = await ctx.roots('client_roots')
    return `Roots: ${roots.map(({ uri }) => uri).join(', ')}`
  },
})
