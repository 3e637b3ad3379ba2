import { defineTool } from 'merlon'
import * as z from 'zod'
import { pause } from '../pause.ts'

export default defineTool({
  name: 'test_reconnection',
  description: 'Closes its stream half-way, so that the client comes back for the result (SEP-1699).',
  input: z.strictObject({}),
  run: async (_input, ctx) => {
    ctx.releaseStream(50)
    await pause(ctx)
    return 'Reconnection test completed successfully. If you received this, the client properly reconnected.'
  },
})
