import { defineTool } from 'merlon'
import * as z from 'zod'

export default defineTool({
  name: 'test_logging_tool',
  description: 'Sends one log line, to those who asked for the level.',
  input: z.strictObject({}),
  run: (_input, ctx) => {
    ctx.log('info', 'A line for those who asked')
    return 'Logged'
  },
})
