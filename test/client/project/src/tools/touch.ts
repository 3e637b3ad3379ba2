import { defineTool } from 'merlon'
import * as z from 'zod'

export default defineTool({
  name: 'touch',
  description: "Says that today's note and the list of tools have changed.",
  input: z.strictObject({}),
  run: (_input, ctx) => {
    ctx.notify.resourceUpdated('note://today')
    ctx.notify.toolsChanged()
    return 'touched'
  },
})
