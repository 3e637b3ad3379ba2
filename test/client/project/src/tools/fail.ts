import { defineTool, ToolError } from 'merlon'
import * as z from 'zod'

export default defineTool({
  name: 'fail',
  description: 'Fails.',
  input: z.strictObject({}),
  run: () => {
    throw new ToolError('The printer is on fire.')
  },
})
