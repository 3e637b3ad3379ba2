import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The built server as a process of its own, on a free port, with an empty data folder of its own. */
export interface ServerProcess {
  readonly port: number
  readonly url: string
  /** The API key that the first start shows. */
  readonly key: string
  /** Ends the process and removes its data. */
  stop(): Promise<void>
}

const root = fileURLToPath(new URL('../../', import.meta.url))
const startMs = 60_000
const stopMs = 10_000

/**
 * Starts `merlon start` for a project folder, given from the root of the workspace. The workspace must be built.
 * Rejects, with what the process printed, when it does not serve within 30 s.
 */
export async function startServer(project: string): Promise<ServerProcess> {
  const folder = await mkdtemp(join(tmpdir(), 'merlon-test-'))
  const server = spawn(
    process.execPath,
    [join(root, 'packages/merlon/dist/main.js'), 'start', '--project', join(root, project)],
    {
      cwd: root,
      // Nothing else of our own environment, so that no setting of it reaches the server.
      env: { PATH: process.env['PATH'], MERLON_STORE_FOLDER: folder, MERLON_SERVER_PORT: '0' },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  )
  const stop = async () => {
    if (server.exitCode === null && server.signalCode === null) {
      const exited = once(server, 'exit')
      server.kill('SIGTERM')
      const deadline = setTimeout(() => server.kill('SIGKILL'), stopMs)
      await exited
      clearTimeout(deadline)
    }
    await rm(folder, { recursive: true, force: true })
  }

  try {
    const { port, key } = await new Promise<{ port: number; key: string }>((resolve, reject) => {
      let printed = ''
      const fail = (why: string) => reject(new Error(`the server ${why}. It printed:\n${printed}`))
      const deadline = setTimeout(() => fail(`did not serve within ${startMs} ms`), startMs)
      const read = (chunk: string) => {
        printed += chunk
        const port = /https?:\/\/(?:localhost|127\.0\.0\.1|\[::1\]):(\d{1,5})/.exec(printed)?.[1]
        const key = /\bmrl_[0-9A-Za-z]{12}_[0-9A-Za-z]{49}\b/.exec(printed)?.[0]
        if (port === undefined || key === undefined) return
        clearTimeout(deadline)
        resolve({ port: Number(port), key })
      }
      server.stdout.setEncoding('utf8').on('data', read)
      server.stderr.setEncoding('utf8').on('data', read)
      server.once('error', reject)
      server.once('exit', (code, signal) => {
        clearTimeout(deadline)
        fail(`ended with ${signal ?? `code ${code}`}`)
      })
    })
    return { port, key, url: `http://localhost:${port}/mcp`, stop }
  } catch (error) {
    await stop()
    throw error
  }
}
