import { defineTool } from 'merlon'
import * as z from 'zod'
import { ledger } from '../ledger.ts'

export default defineTool({
  name: 'block',
  description: 'Keeps the event loop busy, as a careless tool does.',
  input: z.strictObject({ ms: z.int().min(0).max(2_000) }),
  scope: 'read',
  run: ({ ms }) => {
    ledger().ran.push('block')
    const until = performance.now() + ms
    while (performance.now() < until);
    return 'done'
  },
})
