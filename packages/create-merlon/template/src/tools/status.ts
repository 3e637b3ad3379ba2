import { defineTool } from 'merlon'
import * as z from 'zod'
import { listNotes } from '../notes.ts'

export default defineTool({
  name: 'status',
  title: 'Status',
  description: 'Tells how long this server has been up and what it holds for your tenant.',
  input: z.strictObject({}),
  output: z.object({ state: z.literal('operational'), uptimeSeconds: z.int(), notes: z.int() }),
  scope: 'admin',
  annotations: { readOnlyHint: true, openWorldHint: false },
  run: (_input, ctx) => ({
    state: 'operational',
    uptimeSeconds: Math.floor(process.uptime()),
    notes: listNotes(ctx.principal.tenant).length,
  }),
})
