import { setTimeout as pause } from 'node:timers/promises'
import { defineTool } from 'merlon'
import * as z from 'zod'
import { bytesOf, ledger } from '../ledger.ts'

export default defineTool({
  name: 'slow',
  description: 'Reports progress until it is cancelled.',
  input: z.strictObject({}),
  scope: 'read',
  run: async (_input, ctx) => {
    const { ran, aborted } = ledger()
    ran.push('slow')
    ctx.signal.addEventListener('abort', () => aborted.push('slow'), { once: true })
    for (let step = 1; !ctx.signal.aborted; step++) {
      ctx.progress(step, undefined, bytesOf(ctx.principal.tenant))
      await pause(10, undefined, { signal: ctx.signal }).catch(() => undefined)
    }
    return 'cancelled'
  },
})
