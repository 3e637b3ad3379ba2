import { once } from 'node:events'
import { defineTool } from 'merlon'
import * as z from 'zod'

export default defineTool({
  name: 'wait',
  description: 'Waits to be cancelled.',
  input: z.strictObject({}),
  scope: 'read',
  run: async (_, ctx) => {
    ctx.progress(1)
    if (!ctx.signal.aborted) await once(ctx.signal, 'abort')
    return 'cancelled'
  },
})
