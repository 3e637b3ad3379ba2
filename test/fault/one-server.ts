import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'

const main = join(import.meta.dirname, '../../packages/merlon/bin/merlon.cjs')

/** The built server as a process of its own. */
export interface Started {
  readonly url: string
  /** What it printed until it served. */
  readonly said: string
  kill(): Promise<void>
}

/** Starts the server of a project folder, and waits until it has said this. Rejects, with what it said, where it does not. */
export async function start(folder: string, until = /^Control plane: .*\n/m): Promise<Started> {
  const child = spawn(process.execPath, [main, 'start'], {
    cwd: folder,
    // Nothing else of our own environment, so that no setting of it reaches the server.
    env: { PATH: process.env['PATH'], MERLON_SERVER_PORT: '0', MERLON_LOG_LEVEL: 'error' },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  running.add(child)
  child.once('exit', () => running.delete(child))
  let said = ''
  await new Promise<void>((served, failed) => {
    const read = (chunk: string) => {
      said += chunk
      if (until.test(said)) served()
    }
    child.stdout.setEncoding('utf8').on('data', read)
    child.stderr.setEncoding('utf8').on('data', read)
    child.once('close', () => failed(new Error(said)))
  })
  return {
    url: /^Merlon serves (\S+)$/m.exec(said)?.[1] ?? '',
    said,
    async kill() {
      if (child.exitCode !== null || child.signalCode !== null) return
      const ended = once(child, 'exit')
      child.kill('SIGKILL')
      await ended
    },
  }
}

const running = new Set<ChildProcess>()

/** Kills what is left of those that were started here. */
export function killAll(): void {
  for (const child of running) child.kill('SIGKILL')
}
