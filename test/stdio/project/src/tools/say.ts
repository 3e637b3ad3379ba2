import { defineTool } from 'merlon'
import * as z from 'zod'

console.log('printed while it was loaded')

export default defineTool({
  name: 'say',
  description: 'Prints what no host may take for a message.',
  input: z.strictObject({}),
  scope: 'read',
  run: () => {
    console.log('{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}')
    process.stdout.write('printed while it ran\n')
    return 'said'
  },
})
