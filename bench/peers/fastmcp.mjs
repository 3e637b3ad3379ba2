// fastmcp over HTTP streaming as its README shows it: sessions, answers as a stream.
import { FastMCP } from 'fastmcp'
import * as z from 'zod'

const server = new FastMCP({ name: 'bench', version: '1.0.0' })
server.addTool({
  name: 'echo',
  description: 'Repeats the text.',
  parameters: z.object({ text: z.string() }),
  execute: async ({ text }) => text,
})
await server.start({ transportType: 'httpStream', httpStream: { host: '127.0.0.1', port: Number(process.env.PORT) } })
