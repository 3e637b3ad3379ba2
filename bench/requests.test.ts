import { expect, test } from 'vitest'
import { callBytes, initializeBytes, type Target, writeId } from './requests.ts'

const target: Target = {
  port: 8123,
  path: '/mcp',
  revision: '2026-07-28',
  session: false,
  tool: 'echo-progress',
  progress: true,
  key: 'secret',
}

function split(bytes: Buffer): { head: string; body: Record<string, unknown>; length: number } {
  const [head, body] = bytes.toString('utf8').split('\r\n\r\n') as [string, string]
  return { head, body: JSON.parse(body), length: body.length }
}

test('a call of the stateless revision says in its headers what its body says', () => {
  const { head, body, length } = split(callBytes(target, undefined, 'some-text').bytes)
  expect(head.split('\r\n')).toEqual([
    'POST /mcp HTTP/1.1',
    'Host: 127.0.0.1:8123',
    'Content-Type: application/json',
    'Accept: application/json, text/event-stream',
    'Authorization: Bearer secret',
    'MCP-Protocol-Version: 2026-07-28',
    'Mcp-Method: tools/call',
    'Mcp-Name: echo-progress',
    `Content-Length: ${length}`,
  ])
  expect(body).toEqual({
    jsonrpc: '2.0',
    id: 1_000_000_000,
    method: 'tools/call',
    params: {
      name: 'echo-progress',
      arguments: { text: 'some-text' },
      _meta: {
        progressToken: 'some-tex',
        'io.modelcontextprotocol/protocolVersion': '2026-07-28',
        'io.modelcontextprotocol/clientInfo': { name: 'merlon-bench', version: '1.0.0' },
        'io.modelcontextprotocol/clientCapabilities': {},
      },
    },
  })
})

test('a call in a session carries the session and nothing of the stateless revision', () => {
  const stateful: Target = { ...target, revision: '2025-11-25', session: true, progress: false }
  const { head, body } = split(callBytes(stateful, 'S1', 'some-text').bytes)
  expect(head).toContain('\r\nMcp-Session-Id: S1\r\nMCP-Protocol-Version: 2025-11-25\r\n')
  expect(head).not.toContain('Mcp-Name')
  expect(body['params']).toEqual({ name: 'echo-progress', arguments: { text: 'some-text' } })
  expect(split(initializeBytes(stateful)).body['method']).toBe('initialize')
})

test('writing the id changes the id and nothing else', () => {
  const { bytes, idAt } = callBytes(target, undefined, 'some-text')
  const before = split(bytes)
  writeId(bytes, idAt, 8_976_543_210)
  expect(split(bytes)).toEqual({ ...before, body: { ...before.body, id: 8_976_543_210 } })
})
