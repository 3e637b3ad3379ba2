import { defineTool } from 'merlon'
import * as z from 'zod'

// The suite probes headers with the first tool of the list, called without arguments: by name that is this one.
export default defineTool({
  name: 'about',
  description: 'Says what this server is.',
  input: z.strictObject({}),
  run: () => 'The fixture server of the official MCP conformance suite.',
})
