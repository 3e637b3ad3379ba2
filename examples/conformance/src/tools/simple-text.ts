import { defineTool } from 'merlon'
import * as z from 'zod'

export default defineTool({
  name: 'test_simple_text',
  description: 'Returns one text.',
  input: z.strictObject({}),
  run: () => 'This is a simple text response for testing.',
})
