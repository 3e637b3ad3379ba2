import { type ChildProcess, spawn } from 'node:child_process'
import type { FromProbe, Sample, ToProbe } from './probe.ts'

export interface ServerCommand {
  /** The script and its arguments. */
  readonly argv: readonly string[]
  readonly cwd: string
  readonly env?: Readonly<Record<string, string>>
  /** The core to run on, or undefined where processes cannot be pinned. */
  readonly core: number | undefined
  readonly readyTimeoutMs: number
}

const probe = new URL('./probe.ts', import.meta.url).href

/** What a child may see of our environment: nothing that could hold a secret or change what a server does. */
function bareEnvironment(): Record<string, string> {
  return { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '', NODE_ENV: 'production' }
}

/** A server in its own process, on its own core, with the probe inside. */
export class ServerProcess {
  readonly #child: ChildProcess
  readonly #waiting = new Map<number, (sample: Sample) => void>()
  #asked = 0
  #port = 0
  #output = ''
  #exited = false

  private constructor(command: ServerCommand) {
    const node = [process.execPath, '--expose-gc', '--disable-warning=ExperimentalWarning', '--import', probe]
    const line = [
      ...(command.core === undefined ? [] : ['taskset', '-c', String(command.core)]),
      ...node,
      ...command.argv,
    ]
    this.#child = spawn(line[0]!, line.slice(1), {
      cwd: command.cwd,
      env: { ...bareEnvironment(), ...command.env },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    })
    const keep = (chunk: Buffer): void => {
      this.#output = (this.#output + chunk.toString('utf8')).slice(-4_000)
    }
    this.#child.stdout!.on('data', keep)
    this.#child.stderr!.on('data', keep)
    const gone = (): void => {
      this.#exited = true
    }
    this.#child.once('exit', gone)
    this.#child.once('error', gone)
  }

  /** Starts it and waits until it listens. Throws with the end of its output when it does not. */
  static async start(command: ServerCommand): Promise<ServerProcess> {
    const server = new ServerProcess(command)
    try {
      await server.#listening(command.readyTimeoutMs)
      return server
    } catch (error) {
      await server.stop()
      throw error
    }
  }

  get port(): number {
    return this.#port
  }

  get pid(): number {
    return this.#child.pid!
  }

  get exited(): boolean {
    return this.#exited
  }

  /** The last lines that it printed. */
  get output(): string {
    return this.#output
  }

  #listening(timeoutMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`did not listen in ${timeoutMs} ms: ${this.#output}`)), timeoutMs)
      this.#child.once('error', reject)
      this.#child.once('exit', (code) => {
        clearTimeout(timer)
        reject(new Error(`exited with ${code}: ${this.#output}`))
      })
      this.#child.on('message', (message) => {
        const said = message as FromProbe
        if ('listening' in said) {
          // The first listener is the one that serves; others belong to administration.
          if (this.#port === 0) this.#port = said.listening
          clearTimeout(timer)
          resolve()
        } else {
          this.#waiting.get(said.asked)?.(said.sample)
          this.#waiting.delete(said.asked)
        }
      })
    })
  }

  /** CPU and memory now; `collect` collects garbage first. */
  sample(collect = false): Promise<Sample> {
    const ask: ToProbe = { ask: ++this.#asked, collect }
    return new Promise((resolve, reject) => {
      if (this.#exited) return reject(new Error(`the server has exited: ${this.#output}`))
      const timer = setTimeout(() => reject(new Error('the server did not answer the probe')), 60_000)
      this.#waiting.set(ask.ask, (sample) => {
        clearTimeout(timer)
        resolve(sample)
      })
      this.#child.send(ask)
    })
  }

  async stop(): Promise<void> {
    if (this.#exited) return
    const gone = new Promise<void>((resolve) => this.#child.once('exit', () => resolve()))
    this.#child.kill('SIGTERM')
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), 5_000)
    await gone
    clearTimeout(timer)
  }
}
