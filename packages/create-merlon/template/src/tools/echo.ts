import { defineTool } from 'merlon'
import * as z from 'zod'

export default defineTool({
  name: 'echo',
  title: 'Echo',
  description: 'Answers with the text it was sent.',
  input: z.strictObject({ text: z.string().max(4_096).describe('The text to send back.') }),
  scope: 'read',
  annotations: { readOnlyHint: true, openWorldHint: false },
  run: ({ text }) => text,
})
