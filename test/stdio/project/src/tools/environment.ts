import { defineTool } from 'merlon'
import * as z from 'zod'

export default defineTool({
  name: 'environment',
  description: 'Names the variables that begin with MERLON_.',
  input: z.strictObject({}),
  scope: 'read',
  run: () =>
    Object.keys(process.env)
      .filter((name) => name.startsWith('MERLON_'))
      .join(' '),
})
