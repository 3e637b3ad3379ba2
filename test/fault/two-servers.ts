import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Control } from '../../packages/merlon/src/admin/control.ts'
import { httpControl } from '../../packages/merlon/src/admin/http-control.ts'
import type { ConfigInput } from '../../packages/merlon/src/config/schema.ts'
import { Connection } from '../attack/connection.ts'
import { encode, type Request } from '../attack/request.ts'
import { helloTool, linkModules } from '../transcript/project.ts'

const main = join(import.meta.dirname, '../../packages/merlon/bin/merlon.cjs')
const startMs = 60_000

/** The built server as a process of its own, with a data folder of its own. */
export interface ServerProcess {
  /** The control plane as whoever can open the data folder. */
  readonly control: Control
  /** Where the control plane is. */
  readonly controlUrl: string
  /** Sends a request that shows this credential, on a connection of its own, and gives that back at once. */
  begin(request: Request, credential: string): Promise<Connection>
  /** Sends the process a signal; with `SIGKILL` and `SIGTERM`, resolves when it has ended. */
  signal(signal: 'SIGKILL' | 'SIGTERM' | 'SIGSTOP' | 'SIGCONT'): Promise<void>
}

/**
 * Starts servers that have nothing in common but their settings, these variables, what they name, and tools beside `hello`,
 * each by the name of its file.
 */
export async function startServers(
  count: number,
  config: ConfigInput,
  env: Readonly<Record<string, string>>,
  tools: Readonly<Record<string, string>> = {},
): Promise<{ readonly servers: readonly ServerProcess[]; close(): Promise<void> }> {
  const children: ChildProcess[] = []
  const folders: string[] = []
  const close = async () => {
    for (const child of children) child.kill('SIGKILL')
    await Promise.all(children.map((child) => (hasEnded(child) ? undefined : once(child, 'exit'))))
    await Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true })))
  }
  const servers: ServerProcess[] = []
  try {
    for (let at = 0; at < count; at++) {
      const folder = mkdtempSync(join(tmpdir(), 'merlon-servers-'))
      folders.push(folder)
      mkdirSync(join(folder, 'src/tools'), { recursive: true })
      linkModules(folder)
      for (const [name, source] of Object.entries({ hello: helloTool, ...tools }))
        writeFileSync(join(folder, `src/tools/${name}.ts`), source)
      writeFileSync(join(folder, 'merlon.config.json'), JSON.stringify(config))
      const child = spawn(process.execPath, [main, 'start'], {
        cwd: folder,
        // Nothing else of our own environment, so that no setting of it reaches the server.
        env: { PATH: process.env['PATH'], ...env },
        stdio: ['ignore', 'pipe', 'pipe'],
      })
      children.push(child)
      const { port, controlUrl } = await addressesOf(child)
      const connect = () => Connection.open(port)
      servers.push({
        control: httpControl({ socket: join(folder, '.merlon/control.sock') }),
        controlUrl,
        async begin(request, credential) {
          const connection = await connect()
          connection.write(encode(request, { host: `127.0.0.1:${port}`, key: credential }), request.verb ?? 'POST')
          return connection
        },
        async signal(signal) {
          const ended = signal === 'SIGKILL' || signal === 'SIGTERM' ? once(child, 'exit') : undefined
          child.kill(signal)
          await ended
        },
      })
    }
    return { servers, close }
  } catch (error) {
    await close()
    throw error
  }
}

function hasEnded({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null
}

/** What it prints once it serves. Rejects, with all that it printed, when it does not within 30 s. */
function addressesOf(child: ChildProcess): Promise<{ readonly port: number; readonly controlUrl: string }> {
  return new Promise((resolve, reject) => {
    let printed = ''
    const fail = (why: string) => reject(new Error(`the server ${why}. It printed:\n${printed}`))
    const deadline = setTimeout(() => fail(`did not serve within ${startMs} ms`), startMs)
    const read = (chunk: string) => {
      printed += chunk
      const port = /^Merlon serves http:\/\/127\.0\.0\.1:(\d+)\/mcp$/m.exec(printed)?.[1]
      const controlUrl = /^Control plane: (\S+)$/m.exec(printed)?.[1]
      if (port === undefined || controlUrl === undefined) return
      clearTimeout(deadline)
      resolve({ port: Number(port), controlUrl })
    }
    child.stdout?.setEncoding('utf8').on('data', read)
    child.stderr?.setEncoding('utf8').on('data', read)
    child.once('exit', () => {
      clearTimeout(deadline)
      fail('ended')
    })
  })
}
