import { defineTool } from 'merlon'
import * as z from 'zod'

export default defineTool({
  name: 'test_trigger_tool_change',
  description: 'Says that the list of tools has changed.',
  input: z.strictObject({}),
  run: (_input, ctx) => {
    ctx.notify.toolsChanged()
    return 'Tool list changed'
  },
})
