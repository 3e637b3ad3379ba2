import { defineTool } from 'merlon'
import * as z from 'zod'

export default defineTool({
  name: 'test_trigger_prompt_change',
  description: 'Says that the list of prompts has changed.',
  input: z.strictObject({}),
  run: (_input, ctx) => {
    ctx.notify.promptsChanged()
    return 'Prompt list changed'
  },
})
