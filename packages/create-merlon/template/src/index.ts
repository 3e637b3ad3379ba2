import { fileURLToPath } from 'node:url'
import { openServer, type Server } from 'merlon'

/**
 * Starts this server from another program, as the tests do; the commands do not need it. `env` goes over the environment
 * of the process: `{ MERLON_SERVER_PORT: '0' }`.
 */
export function openAgent(env: Readonly<Record<string, string>> = {}): Promise<Server> {
  return openServer({ project: fileURLToPath(new URL('..', import.meta.url)), env })
}
