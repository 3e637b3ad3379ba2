import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { localOperator } from 'merlon'
import { openAgent } from '../src/index.ts'

/** This server on a free port, with a data folder of its own. */
export interface RunningAgent {
  /** The MCP endpoint. */
  readonly url: string
  /** Makes a key with these scopes. */
  key(...scopes: string[]): Promise<string>
  /** Stops it and removes its data. */
  close(): Promise<void>
}

export async function startAgent(): Promise<RunningAgent> {
  const folder = await mkdtemp(join(tmpdir(), 'agent-'))
  const server = await openAgent({ MERLON_STORE_FOLDER: folder, MERLON_SERVER_PORT: '0', MERLON_LOG_LEVEL: 'silent' })
  return {
    url: server.url,
    async key(...scopes) {
      const request = { tenant: 'default', user: 'operator', name: scopes.join(' '), scopes, lifetime: '1h' }
      const made = await server.keys.createKey(request, localOperator)
      if (!made.ok) throw new Error(`no key: ${made.reason}`)
      return made.text
    },
    async close() {
      await server.close()
      await rm(folder, { recursive: true, force: true })
    },
  }
}
