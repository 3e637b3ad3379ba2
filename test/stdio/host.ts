import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { Params } from '../../packages/merlon/src/call.ts'
import { type StdioProject, stdioCommand } from '../client/stdio-project.ts'

export type Answer = Params & {
  readonly id?: unknown
  readonly method?: string
  readonly result?: Params
  readonly error?: { readonly code: number; readonly message: string; readonly data?: Params }
}

/** A host by hand: it writes bytes, and reads lines. */
export class RawHost {
  private readonly child: ChildProcess
  private readonly lines: AsyncIterator<string>
  private readonly exited: Promise<unknown>
  stdout = ''
  stderr = ''

  constructor(project: StdioProject, key: string | undefined, env: Readonly<Record<string, string>> = {}) {
    const { command, args } = stdioCommand(project, key ?? '')
    const given = key === undefined ? {} : { MERLON_API_KEY: key }
    this.child = spawn(command, args, { env: { ...project.env, ...given, ...env }, stdio: 'pipe' })
    this.exited = once(this.child, 'close')
    this.child.stdin?.on('error', () => undefined)
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text
    })
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text
    })
    this.lines = createInterface({ input: this.child.stdout! })[Symbol.asyncIterator]()
  }

  write(bytes: string | Buffer): void {
    this.child.stdin?.write(bytes)
  }

  send(message: Params): void {
    this.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`)
  }

  /** The next line, which must be a message. */
  async next(): Promise<Answer> {
    const { value, done } = await this.lines.next()
    if (done === true) throw new Error(`the server has ended. It said:\n${this.stderr}`)
    return JSON.parse(value) as Answer
  }

  async ask(message: Params): Promise<Answer> {
    this.send(message)
    return this.next()
  }

  /** A request of the stateless revision. */
  stateless(id: unknown, method: string, params: Params = {}): void {
    this.send({ id, method, params: { ...params, _meta: { ...(params['_meta'] as Params), ...statelessMeta } } })
  }

  async callStateless(id: unknown, name: string, args: Params = {}): Promise<Answer> {
    this.stateless(id, 'tools/call', { name, arguments: args })
    return this.next()
  }

  async initialize(): Promise<Answer> {
    const answer = await this.ask({ id: 0, method: 'initialize', params: opening })
    this.send({ method: 'notifications/initialized' })
    return answer
  }

  closeInput(): void {
    this.child.stdin?.end()
  }

  closeOutput(): void {
    this.child.stdout?.destroy()
  }

  terminate(): void {
    this.child.kill('SIGTERM')
  }

  /** The exit code, when it has ended. */
  async ended(): Promise<number | null> {
    await this.exited
    return this.child.exitCode
  }

  async stop(): Promise<void> {
    this.closeInput()
    await this.exited
  }
}

export const statelessMeta = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientCapabilities': {},
}

export const opening = {
  protocolVersion: '2025-11-25',
  capabilities: {},
  clientInfo: { name: 'by hand', version: '1' },
}
