import { defineTool } from 'merlon'
import * as z from 'zod'
import { pause } from '../pause.ts'

export default defineTool({
  name: 'test_tool_with_logging',
  description: 'Sends three log lines while it runs.',
  input: z.strictObject({}),
  run: async (_input, ctx) => {
    ctx.log('info', 'Tool execution started')
    await pause(ctx)
    ctx.log('info', 'Tool processing data')
    await pause(ctx)
    ctx.log('info', 'Tool execution completed')
    return 'Tool with logging executed successfully'
  },
})
