// mcp-framework over its HTTP stream transport: sessions, answers in its default mode.
import { MCPServer } from 'mcp-framework'

const server = new MCPServer({
  name: 'bench',
  version: '1.0.0',
  basePath: import.meta.dirname,
  transport: { type: 'http-stream', options: { host: '127.0.0.1', port: Number(process.env.PORT) } },
})
await server.start()
