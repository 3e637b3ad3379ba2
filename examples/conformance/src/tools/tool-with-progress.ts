import { defineTool } from 'merlon'
import * as z from 'zod'
import { pause } from '../pause.ts'

export default defineTool({
  name: 'test_tool_with_progress',
  description: 'Reports progress while it runs.',
  input: z.strictObject({}),
  run: async (_input, ctx) => {
    ctx.progress(0, 100)
    await pause(ctx)
    ctx.progress(50, 100)
    await pause(ctx)
    ctx.progress(100, 100)
    return 'Tool with progress executed successfully'
  },
})
