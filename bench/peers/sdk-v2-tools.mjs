// The tools that both forms of the official SDK v2 server offer.
import { McpServer } from '@modelcontextprotocol/server'
import * as z from 'zod'

const input = z.object({ text: z.string() })

export function buildServer() {
  const server = new McpServer({ name: 'bench', version: '1.0.0' })
  server.registerTool('echo', { description: 'Repeats the text.', inputSchema: input }, async ({ text }) => ({
    content: [{ type: 'text', text }],
  }))
  const reported = { description: 'Repeats the text after one report of progress.', inputSchema: input }
  server.registerTool('echo-progress', reported, async ({ text }, context) => {
    const progressToken = context.mcpReq._meta?.progressToken
    if (progressToken !== undefined) {
      const params = { progressToken, progress: 1, total: 2 }
      await context.mcpReq.notify({ method: 'notifications/progress', params })
    }
    return { content: [{ type: 'text', text }] }
  })
  return server
}
