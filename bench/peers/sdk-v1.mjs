// The official SDK v1 on Express with nothing on. `stateful` keeps a transport for each session and answers with a stream,
// which is its default; `stateless` builds server and transport for each request and answers with JSON.
import { randomUUID } from 'node:crypto'
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js'
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js'
import express from 'express'
import * as z from 'zod'

const stateful = process.argv[2] === 'stateful'
const transports = new Map()

function buildServer() {
  const server = new McpServer({ name: 'bench', version: '1.0.0' })
  server.registerTool(
    'echo',
    { description: 'Repeats the text.', inputSchema: { text: z.string() } },
    async ({ text }) => ({ content: [{ type: 'text', text }] }),
  )
  return server
}

async function openSession() {
  const transport = new StreamableHTTPServerTransport({
    sessionIdGenerator: () => randomUUID(),
    onsessioninitialized: (id) => void transports.set(id, transport),
  })
  transport.onclose = () => transports.delete(transport.sessionId)
  await buildServer().connect(transport)
  return transport
}

async function answerInSession(request, response) {
  const id = request.headers['mcp-session-id']
  const transport = id === undefined ? await openSession() : transports.get(id)
  if (transport === undefined) response.status(404).json({ error: 'no such session' })
  else await transport.handleRequest(request, response, request.body)
}

async function answerAlone(request, response) {
  const server = buildServer()
  const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: undefined, enableJsonResponse: true })
  response.on('close', () => {
    transport.close()
    server.close()
  })
  await server.connect(transport)
  await transport.handleRequest(request, response, request.body)
}

const app = express()
app.use(express.json())
app.all('/mcp', stateful ? answerInSession : answerAlone)
app.listen(0, '127.0.0.1')
