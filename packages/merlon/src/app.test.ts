import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { openServer, type Server } from './app.ts'
import { localOperator } from './identity/actor.ts'
import { lockForServing } from './serving-lock.ts'

let project: string
let servers: Server[]
let warned: unknown[]

const log = { info: () => undefined, error: () => undefined, warn: (fields: unknown) => void warned.push(fields) }
const open = async () => {
  const server = await openServer({ project, env: { MERLON_SERVER_PORT: '0' }, log })
  servers.push(server)
  return server
}
const close = async (server: Server) => {
  servers = servers.filter((other) => other !== server)
  await server.close()
}

beforeEach(() => {
  project = mkdtempSync(join(tmpdir(), 'merlon-app-'))
  mkdirSync(join(project, 'src/tools'), { recursive: true })
  const definition = "Symbol.for('merlon.definition')"
  writeFileSync(
    join(project, 'src/tools/hidden.mjs'),
    `export default { name: 'hidden', description: 'x', input: { type: 'object' }, scope: 'read', run: () => 'x', [${definition}]: 'tool' }\n`,
  )
  servers = []
  warned = []
})
afterEach(async () => {
  for (const server of servers) await server.close()
  rmSync(project, { recursive: true, force: true })
})

test('one server serves from a data folder, and the next when it has stopped', async () => {
  const first = await open()
  await expect(open()).rejects.toThrow('another server serves from')
  await close(first)
  expect((await open()).firstStart).toBeUndefined()
})

test('a command that has the data folder for a moment is waited for', async () => {
  await close(await open())
  const command = lockForServing(join(project, '.merlon'))
  // It has been tried once when this returns.
  const opening = open()
  command.release()
  expect((await opening).url).toMatch(/^http/)
})

test('a scope that no role has is told at the start, and only then', async () => {
  await close(await open())
  expect(warned).toEqual([])
  writeFileSync(join(project, 'merlon.config.json'), JSON.stringify({ roles: { operator: [] } }))
  await open()
  expect(warned).toEqual([{ scope: 'read' }])
})

test('AU-09: a stream ends when its key is rotated, and the present secret opens it again', async () => {
  const server = await open()
  const key = server.firstStart?.key ?? ''
  const listen = (secret: string) => {
    const meta = {
      'io.modelcontextprotocol/protocolVersion': '2026-07-28',
      'io.modelcontextprotocol/clientCapabilities': {},
    }
    const params = { _meta: meta, notifications: { toolsListChanged: true } }
    return fetch(server.url, {
      method: 'POST',
      headers: {
        Authorization: `Bearer ${secret}`,
        'Content-Type': 'application/json',
        Accept: 'application/json, text/event-stream',
        'MCP-Protocol-Version': '2026-07-28',
        'Mcp-Method': 'subscriptions/listen',
      },
      body: JSON.stringify({ jsonrpc: '2.0', id: 7, method: 'subscriptions/listen', params }),
    })
  }
  const stream = await listen(key)
  expect(stream.status).toBe(200)
  let heard = ''
  const ended = (async () => {
    for await (const chunk of stream.body ?? []) heard += Buffer.from(chunk).toString()
  })()
  await vi.waitFor(() => expect(heard).toContain('acknowledged'), { timeout: 15_000 })
  const rotated = await server.keys.rotateKey(`key_${key.slice(4, 16)}`, localOperator, '0')
  if (!rotated.ok) throw new Error(rotated.reason)
  await ended
  expect(heard).toContain('"id":7,"result":')
  expect((await listen(key)).status).toBe(401)
  const again = await listen(rotated.text)
  expect(again.status).toBe(200)
  await again.body?.cancel()
})

test('a server that was told to stop says first that it is not ready, and serves on until balancers have seen it', async () => {
  writeFileSync(join(project, 'merlon.config.json'), JSON.stringify({ server: { drainDelayMs: 2_000 } }))
  const server = await open()
  const ready = new URL('/ready', server.url)
  expect((await fetch(ready)).status).toBe(200)
  const closing = close(server)
  const seen = await fetch(ready)
  const served = await fetch(new URL('/health', server.url))
  expect([seen.status, served.status, served.headers.get('connection')]).toEqual([503, 200, 'close'])
  await closing
  await expect(fetch(ready)).rejects.toThrow()
})
