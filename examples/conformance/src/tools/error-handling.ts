import { defineTool, ToolError } from 'merlon'
import * as z from 'zod'

export default defineTool({
  name: 'test_error_handling',
  description: 'Always fails.',
  input: z.strictObject({}),
  run: () => {
    throw new ToolError('This tool intentionally returns an error for testing')
  },
})
