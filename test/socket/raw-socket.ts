import { randomBytes } from 'node:crypto'
import { connect, type Socket } from 'node:net'

/** How long anything may take that a test waits for; it only ends a test that hangs. */
const patienceMs = 30_000

export interface Frame {
  readonly opcode: number
  readonly fin: boolean
  readonly payload: Buffer
}

export const opcodes = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const

/** The bytes of one frame of a client (RFC 6455 §5.2). */
export function frame(
  opcode: number,
  payload: string | Buffer = '',
  { fin = true, masked = true, rsv = 0, length = Buffer.byteLength(payload) } = {},
): Buffer {
  const body = Buffer.from(payload)
  const size = length < 126 ? 0 : length < 65_536 ? 2 : 8
  const head = Buffer.alloc(2 + size)
  head[0] = (fin ? 0x80 : 0) | (rsv << 4) | opcode
  head[1] = (masked ? 0x80 : 0) | (size === 0 ? length : size === 2 ? 126 : 127)
  if (size === 2) head.writeUInt16BE(length, 2)
  if (size === 8) head.writeBigUInt64BE(BigInt(length), 2)
  if (!masked) return Buffer.concat([head, body])
  const mask = randomBytes(4)
  for (let at = 0; at < body.length; at++) body[at]! ^= mask[at % 4]!
  return Buffer.concat([head, mask, body])
}

export interface OpenOptions {
  readonly path?: string
  /** Over the usual headers; `null` leaves one out. */
  readonly headers?: Readonly<Record<string, string | readonly string[] | null>>
  readonly verb?: string
  /** Told of all bytes that come. */
  readonly heard?: (bytes: Buffer) => void
}

/** The bytes of a request that asks for a socket. */
export function handshake(port: number, key: string | undefined, options: OpenOptions = {}): string {
  const { path = '/mcp', headers = {}, verb = 'GET' } = options
  const all = new Map<string, string | readonly string[] | null>([
    ['Host', `127.0.0.1:${port}`],
    ['Connection', 'Upgrade'],
    ['Upgrade', 'websocket'],
    ['Sec-WebSocket-Version', '13'],
    ['Sec-WebSocket-Key', randomBytes(16).toString('base64')],
    ['Sec-WebSocket-Protocol', 'mcp'],
    ['Authorization', key === undefined ? null : `Bearer ${key}`],
    ...Object.entries(headers),
  ])
  const lines = [...all].flatMap(([name, value]) =>
    (value === null ? [] : typeof value === 'string' ? [value] : value).map((each) => `${name}: ${each}\r\n`),
  )
  return `${verb} ${path} HTTP/1.1\r\n${lines.join('')}\r\n`
}

/** A WebSocket that says exactly the bytes it is given. It answers a ping only when it is told to. */
export class RawSocket {
  readonly frames: Frame[] = []
  /** Status line and headers of the answer to the handshake. */
  head = ''
  /** Whether the connection is closed. */
  closed = false
  private pending = Buffer.alloc(0)
  private taken = 0
  private readonly socket: Socket
  private readonly waiting = new Set<() => void>()

  private constructor(socket: Socket, heard: (bytes: Buffer) => void) {
    this.socket = socket
    socket.on('data', (bytes: Buffer) => {
      heard(bytes)
      this.receive(bytes)
      this.wake()
    })
    socket.on('error', () => undefined)
    socket.on('close', () => {
      this.closed = true
      this.wake()
    })
  }

  /** Opens one; rejects with the head of the answer where that is not 101. */
  static async open(port: number, key: string | undefined, options: OpenOptions = {}): Promise<RawSocket> {
    const raw = await RawSocket.connect(port, options.heard)
    raw.write(handshake(port, key, options))
    await raw.until(() => raw.head !== '' || raw.closed, 'an answer to the handshake')
    if (!raw.head.startsWith('HTTP/1.1 101 ')) throw new Error(`no socket was opened: ${raw.head}`)
    return raw
  }

  static connect(port: number, heard: (bytes: Buffer) => void = () => undefined): Promise<RawSocket> {
    return new Promise((resolve, reject) => {
      const socket = connect({ port, host: '127.0.0.1', noDelay: true })
      socket.once('connect', () => resolve(new RawSocket(socket, heard)))
      socket.once('error', reject)
    })
  }

  write(bytes: string | Buffer): void {
    if (!this.socket.destroyed) this.socket.write(bytes)
  }

  /** Sends JSON in one frame. */
  send(message: object): void {
    this.write(frame(opcodes.text, JSON.stringify({ jsonrpc: '2.0', ...message })))
  }

  /** Stops reading, as a client that hangs does. */
  pause(): void {
    this.socket.pause()
  }

  resume(): void {
    this.socket.resume()
  }

  destroy(): void {
    this.socket.destroy()
  }

  /** The header lines of the answer. */
  header(name: string): string | undefined {
    return new RegExp(`^${name}: (.*)$`, 'im').exec(this.head)?.[1]?.trim()
  }

  /** The messages that have come. */
  get messages(): readonly SocketMessage[] {
    return this.frames
      .filter(({ opcode }) => opcode === opcodes.text)
      .map(({ payload }) => JSON.parse(payload.toString('utf8')) as SocketMessage)
  }

  /** The next message that was not asked for before. */
  async next(): Promise<SocketMessage> {
    await this.until(() => this.messages.length > this.taken || this.closed, 'a message')
    const message = this.messages[this.taken++]
    if (message === undefined) throw new Error(`the socket closed: ${JSON.stringify(this.closing)}`)
    return message
  }

  /** Sends a request and answers with the message that has its id. */
  async ask(request: {
    readonly id: string | number
    readonly method: string
    readonly params?: object
  }): Promise<SocketMessage> {
    this.send(request)
    return this.answer(request.id)
  }

  async answer(id: string | number): Promise<SocketMessage> {
    const find = () => this.messages.find((message) => message.id === id && message.method === undefined)
    await this.until(() => find() !== undefined || this.closed, `an answer to ${id}`)
    const message = find()
    if (message === undefined) throw new Error(`the socket closed: ${JSON.stringify(this.closing)}`)
    return message
  }

  /** What the server closed with, where it has said so. */
  get closing(): { readonly code: number; readonly reason: string } | undefined {
    const close = this.frames.find(({ opcode }) => opcode === opcodes.close)
    if (close === undefined) return undefined
    const { payload } = close
    return payload.length < 2
      ? { code: 1005, reason: '' }
      : { code: payload.readUInt16BE(0), reason: payload.subarray(2).toString('utf8') }
  }

  /** The code that the server closes with; 1006 where it says none. */
  async closedWith(): Promise<number> {
    await this.until(() => this.closing !== undefined || this.closed, 'the socket to be closed')
    return this.closing?.code ?? 1006
  }

  async gone(): Promise<void> {
    await this.until(() => this.closed, 'the connection to be closed')
  }

  until(holds: () => boolean, what: string): Promise<void> {
    return new Promise((resolve, reject) => {
      if (holds()) return resolve()
      const timer = setTimeout(() => {
        this.waiting.delete(look)
        reject(new Error(`waited ${patienceMs} ms for ${what}`))
      }, patienceMs)
      const look = () => {
        if (!holds()) return
        clearTimeout(timer)
        this.waiting.delete(look)
        resolve()
      }
      this.waiting.add(look)
    })
  }

  private wake(): void {
    for (const look of [...this.waiting]) look()
  }

  private receive(bytes: Buffer): void {
    this.pending = Buffer.concat([this.pending, bytes])
    if (this.head === '') {
      const end = this.pending.indexOf('\r\n\r\n')
      if (end < 0) return
      this.head = this.pending.subarray(0, end).toString('latin1')
      this.pending = this.pending.subarray(end + 4)
    }
    if (!this.head.startsWith('HTTP/1.1 101 ')) return
    for (let found = this.cut(); found !== undefined; found = this.cut()) this.frames.push(found)
  }

  private cut(): Frame | undefined {
    const { pending } = this
    if (pending.length < 2) return undefined
    const short = pending[1]! & 0x7f
    const size = short === 126 ? 2 : short === 127 ? 8 : 0
    if (pending.length < 2 + size) return undefined
    const length = size === 2 ? pending.readUInt16BE(2) : size === 8 ? Number(pending.readBigUInt64BE(2)) : short
    const end = 2 + size + length
    if (pending.length < end) return undefined
    this.pending = pending.subarray(end)
    return { opcode: pending[0]! & 0x0f, fin: (pending[0]! & 0x80) !== 0, payload: pending.subarray(2 + size, end) }
  }
}

/** As much of a message as the tests look at. */
export interface SocketMessage {
  readonly id?: string | number
  readonly method?: string
  readonly params?: Readonly<Record<string, unknown>>
  readonly result?: Readonly<Record<string, unknown>>
  readonly error?: {
    readonly code: number
    readonly message: string
    readonly data?: Readonly<Record<string, unknown>>
  }
}

/** The `_meta` of a request of the stateless revision. */
export const statelessMeta = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientInfo': { name: 'raw', version: '1' },
  'io.modelcontextprotocol/clientCapabilities': {},
}

/** A request of the stateless revision. */
export function stateless(id: string | number, method: string, params: object = {}, meta: object = {}) {
  return { id, method, params: { ...params, _meta: { ...statelessMeta, ...meta } } }
}

/** The parameters that open a session. */
export const opening = {
  protocolVersion: '2025-11-25',
  capabilities: { elicitation: {} },
  clientInfo: { name: 'raw', version: '1' },
}
