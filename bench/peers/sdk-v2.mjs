// The official SDK v2, 2026-07-28, on node:http with nothing on.
import { createServer } from 'node:http'
import { toNodeHandler } from '@modelcontextprotocol/node'
import { createMcpHandler } from '@modelcontextprotocol/server'
import { buildServer } from './sdk-v2-tools.mjs'

const handle = toNodeHandler(createMcpHandler(buildServer))
createServer((request, response) => void handle(request, response)).listen(0, '127.0.0.1')
