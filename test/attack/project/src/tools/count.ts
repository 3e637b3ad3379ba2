import { setImmediate as turn } from 'node:timers/promises'
import { defineTool } from 'merlon'
import * as z from 'zod'
import { bytesOf, ledger } from '../ledger.ts'

export default defineTool({
  name: 'count',
  description: 'Counts to a number in progress reports, and ends.',
  input: z.strictObject({
    to: z.int().min(1).max(5_000),
    padding: z.int().min(0).max(65_536).default(0),
    waits: z.boolean().default(false).describe('Whether each step waits until the test lets it be taken.'),
  }),
  scope: 'read',
  run: async ({ to, padding, waits }, ctx) => {
    const { ran, aborted, gate } = ledger()
    ran.push('count')
    ctx.signal.addEventListener('abort', () => aborted.push('count'), { once: true })
    const message = bytesOf(ctx.principal.tenant) + 'x'.repeat(padding)
    for (let step = 1; step <= to && !ctx.signal.aborted; step++) {
      if (waits) await gate.passed(step, ctx.signal)
      ctx.progress(step, to, message)
      if (padding > 0 || step % 4 === 0) await turn()
    }
    return `counted to ${to}`
  },
})
