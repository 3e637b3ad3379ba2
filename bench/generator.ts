import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { CallsOrder, CallsResult, HoldOrder, Order, Reply } from './load.ts'
import type { Target } from './requests.ts'

const script = fileURLToPath(new URL('./load.ts', import.meta.url))

/** The load generator as the benchmark sees it. One order at a time. */
export class Generator {
  readonly #child: ChildProcess
  readonly #replies: Reply[] = []
  #wake: (() => void) | undefined
  #exited = false

  constructor(core: number | undefined) {
    const line = [...(core === undefined ? [] : ['taskset', '-c', String(core)]), process.execPath, script]
    this.#child = spawn(line[0]!, line.slice(1), { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    this.#child.on('message', (reply) => {
      this.#replies.push(reply as Reply)
      this.#wake?.()
    })
    const gone = (): void => {
      this.#exited = true
      this.#wake?.()
    }
    this.#child.once('exit', gone)
    this.#child.once('error', gone)
  }

  /** Makes calls. `around` runs its `begin` when the connections stand, and its `end` when the last call is answered. */
  async calls(
    order: Omit<CallsOrder, 'do'>,
    around?: { begin: () => Promise<void>; end: () => Promise<void> },
  ): Promise<CallsResult> {
    this.#send({ do: 'calls', ...order })
    await this.#reply('ready')
    await around?.begin()
    this.#send({ do: 'go' })
    const { result } = await this.#reply('done')
    await around?.end()
    await this.#reply('released')
    return result
  }

  /** Holds sessions or streams open while `during` runs. */
  async hold(order: Omit<HoldOrder, 'do'>, during: () => Promise<void>): Promise<void> {
    this.#send({ do: 'hold', ...order })
    await this.#reply('held')
    try {
      await during()
    } finally {
      this.#send({ do: 'release' })
      await this.#reply('released')
    }
  }

  /** One call: status, content type and body of its answer. */
  async ask(target: Target, text: string): Promise<{ status: number; type: string; body: string }> {
    this.#send({ do: 'ask', target, text })
    return this.#reply('answer')
  }

  stop(): void {
    if (this.#child.connected) this.#child.disconnect()
  }

  #send(order: Order): void {
    this.#child.send(order)
  }

  async #reply<W extends Reply['said']>(word: W): Promise<Extract<Reply, { said: W }>> {
    while (this.#replies.length === 0) {
      if (this.#exited) throw new Error('the load generator has exited')
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
    const reply = this.#replies.shift()!
    if (reply.said === 'failed') throw new Error(reply.why)
    if (reply.said !== word) throw new Error(`the load generator said ${reply.said} instead of ${word}`)
    return reply as Extract<Reply, { said: W }>
  }
}
