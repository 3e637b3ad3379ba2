import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Readable, Writable } from 'node:stream'

/** The count in what `perf stat -x,` printed for `event`, or undefined where the machine does not count it. */
export function parseCount(output: string, event: string): number | undefined {
  for (const line of output.split('\n')) {
    const fields = line.split(',')
    if (fields[2] !== event) continue
    const count = Number(fields[0])
    return fields[0] === '' || Number.isNaN(count) ? undefined : count
  }
  return undefined
}

/** The event to count on this machine: with the kernel's share, else without it, else undefined. */
export function supportedEvent(): string | undefined {
  for (const event of ['instructions', 'instructions:u']) {
    try {
      const { stderr } = runPerf(event)
      if (parseCount(stderr, event) !== undefined) return event
    } catch {
      // No perf, or not allowed to count: the column stays empty.
      return undefined
    }
  }
  return undefined
}

function runPerf(event: string): { stderr: string } {
  const line = ['stat', '-x,', '-o', '/dev/stdout', '-e', event, 'true']
  return {
    stderr: execFileSync('perf', line, { encoding: 'utf8', timeout: 5_000, stdio: ['ignore', 'pipe', 'ignore'] }),
  }
}

/** Counts an event of all threads of one process, between `start` and `stop`. */
export class Counter {
  readonly #perf: ChildProcess
  readonly #event: string
  #output = ''

  private constructor(event: string, pid: number) {
    this.#event = event
    // Starts disabled and is switched over a pipe, so that nothing outside the measurement is counted.
    const line = ['stat', '-x,', '-e', event, '-p', String(pid), '-D', '-1', '--control', 'fd:3,4']
    this.#perf = spawn('perf', line, { stdio: ['ignore', 'ignore', 'pipe', 'pipe', 'pipe'] })
    this.#perf.on('error', () => undefined)
    this.#perf.stderr!.on('data', (chunk: Buffer) => {
      this.#output += chunk.toString('utf8')
    })
  }

  static async start(event: string, pid: number): Promise<Counter> {
    const counter = new Counter(event, pid)
    await counter.#say('enable')
    return counter
  }

  async #say(word: 'enable' | 'disable'): Promise<void> {
    const acknowledged = once(this.#perf.stdio[4] as Readable, 'data', { signal: AbortSignal.timeout(5_000) })
    ;(this.#perf.stdio[3] as Writable).write(`${word}\n`)
    await acknowledged
  }

  async stop(): Promise<number | undefined> {
    await this.#say('disable')
    const gone = once(this.#perf, 'close', { signal: AbortSignal.timeout(5_000) })
    this.#perf.kill('SIGINT')
    await gone
    return parseCount(this.#output, this.#event)
  }
}
