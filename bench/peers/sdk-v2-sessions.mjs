// The official SDK v2 with sessions, on node:http with nothing on: one transport and one server for each session.
import { randomUUID } from 'node:crypto'
import { createServer } from 'node:http'
import { NodeStreamableHTTPServerTransport } from '@modelcontextprotocol/node'
import { buildServer } from './sdk-v2-tools.mjs'

const enableJsonResponse = process.argv[2] === 'json'
const transports = new Map()

async function openSession() {
  const transport = new NodeStreamableHTTPServerTransport({
    enableJsonResponse,
    sessionIdGenerator: () => randomUUID(),
    onsessioninitialized: (id) => void transports.set(id, transport),
  })
  transport.onclose = () => transports.delete(transport.sessionId)
  await buildServer().connect(transport)
  return transport
}

const server = createServer(async (request, response) => {
  const id = request.headers['mcp-session-id']
  const transport = id === undefined ? await openSession() : transports.get(id)
  if (transport === undefined) response.writeHead(404, { 'Content-Length': 0 }).end()
  else await transport.handleRequest(request, response)
})
server.listen(0, '127.0.0.1')
