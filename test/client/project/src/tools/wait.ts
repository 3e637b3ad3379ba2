import { once } from 'node:events'
import { defineTool } from 'merlon'
import * as z from 'zod'
import { cancellationOf } from '../abandoned.ts'

export default defineTool({
  name: 'wait',
  description: 'Waits to be cancelled.',
  input: z.strictObject({ label: z.string() }),
  run: async ({ label }, ctx) => {
    ctx.progress(1, undefined, 'waiting')
    if (!ctx.signal.aborted) await once(ctx.signal, 'abort')
    cancellationOf(label).resolve()
    return 'cancelled'
  },
})
