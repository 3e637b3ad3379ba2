import { defineTool } from 'merlon'
import * as z from 'zod'

export default defineTool({
  name: 'roots',
  description: 'Asks the client for its roots.',
  input: z.strictObject({}),
  run: async (_input, ctx) => (await ctx.roots()).map(({ uri }) => uri).join(' '),
})
