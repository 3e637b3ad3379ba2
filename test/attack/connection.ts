import { connect, type Socket } from 'node:net'
import { StringDecoder } from 'node:string_decoder'
import { type ResponseHead, ResponseReader } from './response-reader.ts'

/** How long anything may take that a test waits for. Nothing is asserted about time; this only ends a test that hangs. */
export const patienceMs = 30_000

/** One event of a stream, as a reader of server-sent events sees it. */
export interface StreamEvent {
  readonly id: string | undefined
  readonly type: string
  readonly data: string
}

/** An answer as it came: whole, or as far as it has come for a stream. */
export class Answer {
  readonly head: ResponseHead
  readonly events: StreamEvent[] = []
  body: Buffer = Buffer.alloc(0)
  complete = false
  #pending = ''
  readonly #decoder = new StringDecoder('utf8')

  constructor(head: ResponseHead) {
    this.head = head
  }

  get status(): number {
    return this.head.status
  }

  get text(): string {
    return this.body.toString('utf8')
  }

  /** The value of a header that is there once, all values of one that is there oftener, or undefined. */
  header(name: string): string | undefined {
    const found = this.head.lines.filter(([each]) => each.toLowerCase() === name.toLowerCase())
    return found.length === 0 ? undefined : found.map(([, value]) => value).join(' || ')
  }

  get streams(): boolean {
    return this.header('content-type')?.startsWith('text/event-stream') === true
  }

  /** The JSON-RPC message or refusal: the body, or the last event of a stream. */
  get message(): Message {
    const text = this.streams ? (this.messages.at(-1)?.data ?? '') : this.text
    return text === '' ? {} : (JSON.parse(text) as Message)
  }

  /** The events that carry a message: not the one that only says where the stream begins. */
  get messages(): readonly StreamEvent[] {
    return this.events.filter(({ data }) => data !== '')
  }

  /** The word of the error table, wherever the body has it. */
  get code(): string | undefined {
    const { code, error } = this.message
    return code ?? (typeof error === 'object' ? error.data?.code : undefined)
  }

  /** The JSON-RPC number. */
  get rpc(): number | undefined {
    const { error } = this.message
    return typeof error === 'object' ? error.code : undefined
  }

  /** The text of a tool's result. */
  get said(): string | undefined {
    return this.message.result?.content?.[0]?.text
  }

  take(bytes: Buffer): void {
    this.body = Buffer.concat([this.body, bytes])
    if (!this.streams) return
    // WHATWG HTML §9.2.6: blocks end with an empty line.
    const blocks = (this.#pending + this.#decoder.write(bytes)).split('\n\n')
    this.#pending = blocks.pop() ?? ''
    for (const block of blocks) {
      const event = parseEvent(block)
      if (event !== undefined) this.events.push(event)
    }
  }
}

/** As much of a body as the tests look at. */
export interface Message {
  readonly jsonrpc?: string
  readonly id?: string | number
  readonly method?: string
  readonly params?: { readonly message?: string; readonly progress?: number; readonly [key: string]: unknown }
  readonly code?: string
  readonly error?:
    | string
    | {
        readonly code: number
        readonly message: string
        readonly data?: { readonly code?: string; readonly [key: string]: unknown }
      }
  readonly result?: {
    readonly content?: readonly { readonly text?: string }[]
    readonly isError?: boolean
    readonly tools?: readonly { readonly name: string }[]
    readonly nextCursor?: string
    readonly requestState?: string
    readonly [key: string]: unknown
  }
}

function parseEvent(block: string): StreamEvent | undefined {
  let id: string | undefined
  let type = 'message'
  const data: string[] = []
  for (const line of block.split(/\r\n|\r|\n/)) {
    const colon = line.indexOf(':')
    if (colon === 0) continue
    const field = colon < 0 ? line : line.slice(0, colon)
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '')
    if (field === 'id') id = value
    else if (field === 'event') type = value
    else if (field === 'data') data.push(value)
  }
  return data.length === 0 && id === undefined ? undefined : { id, type, data: data.join('\n') }
}

/** A TCP connection that says exactly the bytes it is given and keeps what comes back. */
export class Connection {
  readonly answers: Answer[] = []
  /** Whether the server has ended it, or it broke. */
  closed = false
  readonly #socket: Socket
  readonly #reader = new ResponseReader()
  readonly #waiting = new Set<() => void>()
  readonly #heard: (bytes: Buffer, answer: Answer | undefined) => void

  private constructor(socket: Socket, heard: (bytes: Buffer, answer: Answer | undefined) => void) {
    this.#socket = socket
    this.#heard = heard
    socket.on('data', (bytes: Buffer) => this.#receive(bytes))
    socket.on('error', () => undefined)
    socket.on('end', () => {
      if (this.#reader.end().finished) this.#current!.complete = true
    })
    socket.on('close', () => {
      this.closed = true
      this.#wake()
    })
  }

  /** `heard` is told of all bytes that came, and of each answer once it begins. */
  static open(
    port: number,
    heard: (bytes: Buffer, answer: Answer | undefined) => void = () => undefined,
  ): Promise<Connection> {
    return new Promise((resolve, reject) => {
      const socket = connect({ port, host: '127.0.0.1', noDelay: true })
      socket.once('connect', () => resolve(new Connection(socket, heard)))
      socket.once('error', reject)
    })
  }

  /** Sends bytes. `verb` is that of the request they begin, so that its answer can be read. */
  write(bytes: string | Buffer, verb?: string): void {
    if (verb !== undefined) this.#reader.expect(verb)
    if (!this.#socket.destroyed) this.#socket.write(bytes, typeof bytes === 'string' ? 'latin1' : undefined)
  }

  /** Stops reading, as a client that hangs does. */
  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  destroy(): void {
    this.#socket.destroy()
  }

  get destroyed(): boolean {
    return this.#socket.destroyed
  }

  /** The answer with this number, once it is complete; undefined where the connection closed before it began. */
  async answer(at = 0): Promise<Answer | undefined> {
    await this.until(() => this.answers[at]?.complete === true || this.closed, 'an answer')
    return this.answers[at]
  }

  /** The answer with this number as soon as its head is there. */
  async begun(at = 0): Promise<Answer> {
    await this.until(() => this.answers[at] !== undefined || this.closed, 'the head of an answer')
    const answer = this.answers[at]
    if (answer === undefined) throw new Error('the connection closed without an answer')
    return answer
  }

  /** The answer once so many messages have come on its stream, or it has ended. */
  async messages(count: number, at = 0): Promise<Answer> {
    const answer = await this.begun(at)
    await this.until(
      () => answer.messages.length >= count || answer.complete || this.closed,
      `${count} messages on a stream`,
    )
    return answer
  }

  async whenClosed(): Promise<void> {
    await this.until(() => this.closed, 'the connection to be closed')
  }

  /** Resolves when the condition holds; looks whenever something arrived. Rejects after the patience of the tests. */
  until(holds: () => boolean, what: string, withinMs = patienceMs): Promise<void> {
    return new Promise((resolve, reject) => {
      if (holds()) return resolve()
      const timer = setTimeout(() => {
        this.#waiting.delete(look)
        reject(new Error(`waited ${withinMs} ms for ${what}`))
      }, withinMs)
      const look = () => {
        if (!holds()) return
        clearTimeout(timer)
        this.#waiting.delete(look)
        resolve()
      }
      this.#waiting.add(look)
    })
  }

  get #current(): Answer | undefined {
    return this.answers.at(-1)
  }

  #receive(bytes: Buffer): void {
    this.#heard(bytes, undefined)
    for (const part of this.#reader.push(bytes)) {
      if (part.part === 'head') {
        const answer = new Answer(part.head)
        this.answers.push(answer)
        this.#heard(Buffer.alloc(0), answer)
      } else if (part.part === 'body') this.#current?.take(part.bytes)
      else this.#current!.complete = true
    }
    this.#wake()
  }

  #wake(): void {
    for (const look of [...this.#waiting]) look()
  }
}
