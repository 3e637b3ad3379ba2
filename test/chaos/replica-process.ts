import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Control } from '../../packages/merlon/src/admin/control.ts'
import { httpControl } from '../../packages/merlon/src/admin/http-control.ts'
import type { ConfigInput } from '../../packages/merlon/src/config/schema.ts'

const main = join(import.meta.dirname, '../../packages/merlon/bin/merlon.cjs')
const startMs = 60_000
const printedMax = 20_000

/** The built server as a process with a data folder of its own, which can be killed and started over that folder. */
export class ReplicaProcess {
  /** Where it listens now; 0 while it does not. */
  port = 0
  /** The control plane as whoever can open the data folder. */
  readonly control: Control
  readonly #folder: string
  readonly #env: Readonly<Record<string, string>>
  #child: ChildProcess | undefined
  readonly #onDied: (how: string) => void
  #printed = ''

  private constructor(folder: string, env: Readonly<Record<string, string>>, onDied: (how: string) => void) {
    this.#folder = folder
    this.#onDied = onDied
    this.#env = env
    this.control = httpControl({ socket: join(folder, '.merlon/control.sock') })
  }

  /** `onDied` is told, with what it printed, where it ends and nobody has asked it to. */
  static async start(
    config: ConfigInput,
    env: Readonly<Record<string, string>>,
    onDied: (how: string) => void = () => undefined,
  ): Promise<ReplicaProcess> {
    const folder = mkdtempSync(join(tmpdir(), 'merlon-replica-'))
    writeFileSync(join(folder, 'merlon.config.json'), JSON.stringify(config))
    const replica = new ReplicaProcess(folder, env, onDied)
    try {
      await replica.restart()
      return replica
    } catch (error) {
      await replica.close()
      throw error
    }
  }

  /** What it has printed lately. */
  get printed(): string {
    return this.#printed
  }

  get running(): boolean {
    return this.#child !== undefined
  }

  /** Starts it again. Rejects, with what it printed, where it does not serve within a minute. */
  async restart(): Promise<void> {
    const child = spawn(process.execPath, [main, 'start'], {
      cwd: this.#folder,
      // Nothing else of our own environment, so that no setting of it reaches the server.
      env: { PATH: process.env['PATH'], ...this.#env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.#child = child
    let said = ''
    const hear = (chunk: string) => {
      said += said.length < printedMax ? chunk : ''
      this.#printed = (this.#printed + chunk).slice(-printedMax)
    }
    child.stderr.setEncoding('utf8').on('data', hear)
    child.stdout.setEncoding('utf8')
    await new Promise<void>((serves, failed) => {
      const fail = (why: string) => failed(new Error(`the server ${why}. It printed:\n${said}`))
      const deadline = setTimeout(() => fail(`did not serve within ${startMs} ms`), startMs)
      child.once('exit', () => {
        clearTimeout(deadline)
        fail('ended')
        if (this.#child !== child || this.port === 0) return
        this.#child = undefined
        this.port = 0
        this.#onDied(`a server ended by itself. It printed:\n${this.#printed}`)
      })
      child.stdout.on('data', (chunk: string) => {
        hear(chunk)
        const port = /^Merlon serves http:\/\/127\.0\.0\.1:(\d+)\/mcp$/m.exec(said)?.[1]
        if (port === undefined || !/^Control plane: /m.test(said)) return
        clearTimeout(deadline)
        this.port = Number(port)
        serves()
      })
    })
  }

  /** Ends it as a power cut does: it hears nothing of it. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL')
  }

  /** It keeps its connections and does nothing, until `thaw`. */
  freeze(): void {
    this.#child?.kill('SIGSTOP')
  }

  thaw(): void {
    this.#child?.kill('SIGCONT')
  }

  /** Asks it to end, waits until it has, and answers its exit code: null where a signal ended it. */
  stop(): Promise<number | null> {
    return this.#end('SIGTERM')
  }

  async close(): Promise<void> {
    await this.kill()
    await rm(this.#folder, { recursive: true, force: true })
  }

  async #end(signal: 'SIGKILL' | 'SIGTERM'): Promise<number | null> {
    const child = this.#child
    this.#child = undefined
    this.port = 0
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return child?.exitCode ?? null
    const ended = once(child, 'exit')
    child.kill(signal)
    const [code] = (await ended) as [number | null]
    return code
  }
}
