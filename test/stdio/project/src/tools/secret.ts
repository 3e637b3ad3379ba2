import { defineTool } from 'merlon'
import * as z from 'zod'

export default defineTool({
  name: 'secret',
  description: 'For administrators.',
  input: z.strictObject({}),
  scope: 'admin',
  run: () => 'reached',
})
