import { defineTool } from 'merlon'
import * as z from 'zod'
import { cancellationOf } from '../abandoned.ts'

export default defineTool({
  name: 'was_cancelled',
  description: 'Answers as soon as the call of `wait` with this label has been cancelled.',
  input: z.strictObject({ label: z.string() }),
  run: async ({ label }) => {
    await cancellationOf(label).promise
    return 'yes'
  },
})
