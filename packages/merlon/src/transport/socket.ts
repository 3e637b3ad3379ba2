import type { Duplex } from 'node:stream'
import type { WebSocket } from 'ws'
import type { Awaitable, Clock } from '../call.ts'
import { Fault } from '../errors.ts'
import type { Channel } from './channel.ts'

export interface SocketBounds {
  readonly messageBytesMax: number
  /** Of notifications that the client has not taken. Beyond it the socket closes. */
  readonly bufferBytesMax: number
  readonly heartbeatMs: number
  /** A client that takes nothing, or gives no sign of life, for so long has left. */
  readonly stallMs: number
  /** A socket over which nothing is asked, and nothing is answered, for so long closes. */
  readonly idleMs: number
}

/** Why a socket closes: RFC 6455 §7.4.1, and above 4000 our own. */
export const closings = {
  idle: [1000, 'idle'],
  leaving: [1001, 'the server is stopping'],
  binary: [1003, 'messages are text'],
  changed: [1008, 'the credential has changed: connect again'],
  flood: [1008, 'too much at once'],
  slow: [1008, 'a message took too long'],
  unread: [1013, 'too much was not read'],
  credential: [4401, 'the credential is not good'],
  session: [4404, 'the session is over'],
} as const satisfies Readonly<Record<string, readonly [code: number, reason: string]>>
export type Closing = keyof typeof closings

/** Takes what comes over a socket. The next message is not looked at before this one is taken. */
export interface Messages {
  message(bytes: Buffer): Awaitable<void>
  /** What came was no message, or not as one may come. The socket is closing. */
  broken(fault: Fault): void
  /** Whether something is still being answered. */
  readonly busy: boolean
}

/** A message that began must have come whole within this. */
const messageMs = 10_000
/** Messages that came in one piece and wait for the one before them. */
const waitingMax = 1_000
/** Pings and pongs between two beats. */
const controlsMax = 100
/** Answers are waited for, so that more of them may be on their way. */
const answersFactor = 16

/**
 * One WebSocket (RFC 6455). It moves whole messages and has no opinions: nothing more is read while a message is being
 * taken or while what was written has not been; who sends slowly, floods or does not read is closed.
 */
export class Socket implements Channel {
  private readonly socket: WebSocket
  private readonly duplex: Duplex
  private readonly bounds: SocketBounds
  private readonly steadyClock: Clock
  private readonly receiver: Receiver
  private messages: Messages | undefined
  private readonly waiting: Buffer[] = []
  private working = false
  private noticeBytes = 0
  private usedAt: number
  private heardAt: number
  private pingedAt: number
  private controls = 0
  private incompleteSince: number | undefined
  private fullSince: number | undefined
  private readonly closedListeners = new Set<() => void>()
  closed = false
  /** What it was closed with; 1006 where it broke off. */
  code = 1006

  constructor(socket: WebSocket, duplex: Duplex, bounds: SocketBounds, steadyClock: Clock) {
    this.socket = socket
    this.duplex = duplex
    this.bounds = bounds
    this.steadyClock = steadyClock
    this.receiver = receiverOf(socket)
    const now = steadyClock()
    this.usedAt = now
    this.heardAt = now
    this.pingedAt = now
    socket.on('message', (data: Buffer, isBinary: boolean) => this.take(data, isBinary))
    socket.on('ping', (data: Buffer) => {
      this.control()
      if (!this.closed && this.duplex.writableLength <= bounds.bufferBytesMax) socket.pong(data)
    })
    socket.on('pong', () => this.control())
    socket.on('error', (error: NodeJS.ErrnoException) => this.fail(error))
    socket.on('close', (code: number) => {
      if (!this.closed) this.code = code
      this.end()
    })
  }

  /** Begins to take messages. */
  read(messages: Messages): void {
    this.messages = messages
  }

  send(message: string): void {
    this.write(message, answersFactor * this.bounds.bufferBytesMax)
  }

  notify(message: string): void {
    if (this.duplex.writableLength === 0) this.noticeBytes = 0
    if (Math.min(this.noticeBytes, this.duplex.writableLength) > this.bounds.bufferBytesMax) {
      this.close('unread')
      return
    }
    this.noticeBytes += message.length
    this.write(message, answersFactor * this.bounds.bufferBytesMax)
  }

  /** Says why and closes. Nothing is taken or sent after that. */
  close(why: Closing): void {
    if (this.closed) return
    const [code, reason] = closings[why]
    this.code = code
    this.socket.resume()
    this.socket.close(code, reason)
    this.end()
  }

  /** Closes without a word. */
  cut(): void {
    this.socket.terminate()
  }

  onClosed(listener: () => void): () => void {
    if (this.closed) listener()
    else this.closedListeners.add(listener)
    return () => void this.closedListeners.delete(listener)
  }

  /** Resolves after so long, or when it has closed. */
  rest(ms: number): Promise<void> {
    return this.orClosed((done) => {
      const timer = setTimeout(done, ms)
      return () => clearTimeout(timer)
    })
  }

  /** Calls back when the connection itself is gone. */
  onGone(listener: () => void): void {
    if (this.socket.readyState === this.socket.CLOSED) listener()
    else this.socket.once('close', listener)
  }

  /** Looks after the socket: about once a second. */
  beat(): void {
    if (this.closed) return
    const now = this.steadyClock()
    this.controls = 0
    const over = this.overdue(now)
    if (over === 'gone') this.cut()
    else if (over === 'slow') this.break('slow', new Fault('body.timeout'))
    else if (over !== undefined) this.close(over)
    else if (now - this.pingedAt >= this.bounds.heartbeatMs) {
      this.pingedAt = now
      this.socket.ping()
    }
  }

  /** What has gone on for too long. `gone`: nobody is there to be told. */
  private overdue(now: number): 'unread' | 'slow' | 'gone' | 'idle' | undefined {
    const { heartbeatMs, stallMs, idleMs } = this.bounds
    this.fullSince = this.duplex.writableNeedDrain ? (this.fullSince ?? now) : undefined
    if (now - (this.fullSince ?? now) >= stallMs) return 'unread'
    // What is not read because we do not read is not the client's fault.
    if (this.working) this.heardAt = now
    const incomplete = !this.working && isIncomplete(this.receiver)
    this.incompleteSince = incomplete ? (this.incompleteSince ?? now) : undefined
    if (now - (this.incompleteSince ?? now) >= messageMs) return 'slow'
    if (now - this.heardAt >= heartbeatMs + stallMs) return 'gone'
    if (this.messages?.busy) this.usedAt = now
    return now - this.usedAt >= idleMs ? 'idle' : undefined
  }

  private take(data: Buffer, isBinary: boolean): void {
    if (this.closed) return
    const now = this.steadyClock()
    this.usedAt = now
    this.heardAt = now
    this.incompleteSince = undefined
    if (isBinary) this.break('binary', new Fault('media-type.refused', { reason: 'binary' }))
    else if (!this.working) this.work(data).catch(() => this.cut())
    else if (this.waiting.length >= waitingMax) this.break('flood', flood('waiting'))
    else {
      this.waiting.push(data)
      this.socket.pause()
    }
  }

  private async work(first: Buffer): Promise<void> {
    this.working = true
    for (let next: Buffer | undefined = first; next !== undefined && !this.closed; next = this.waiting.shift()) {
      await this.messages?.message(next)
      if (this.duplex.writableLength > this.bounds.bufferBytesMax) {
        this.socket.pause()
        await this.room()
      }
    }
    this.working = false
    this.waiting.length = 0
    if (!this.closed && this.socket.isPaused) this.socket.resume()
  }

  private room(): Promise<void> {
    return this.orClosed((done) => {
      this.duplex.once('drain', done)
      return () => this.duplex.removeListener('drain', done)
    })
  }

  /** Resolves when what `begin` waits for is done, or when it has closed; neither is listened for any longer. */
  private async orClosed(begin: (done: () => void) => () => void): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const stops = [begin(resolve), this.onClosed(resolve)]
    await promise
    for (const stop of stops) stop()
  }

  private control(): void {
    this.heardAt = this.steadyClock()
    if (!this.closed && ++this.controls > controlsMax) this.break('flood', flood('controls'))
  }

  private write(message: string, bytesMax: number): void {
    if (this.closed) return
    if (this.duplex.writableLength > bytesMax) this.close('unread')
    else this.socket.send(message)
  }

  private break(why: Closing, fault: Fault): void {
    this.messages?.broken(fault)
    this.close(why)
  }

  /** The library has found what is no message, said so, and closes. A connection that broke is only its end. */
  private fail({ code = '' }: NodeJS.ErrnoException): void {
    if (this.closed || !code.startsWith('WS_ERR_')) return
    const [fault, closing] = broken[code] ?? (['request.invalid', 1002] as const)
    this.messages?.broken(new Fault(fault, { reason: code.slice('WS_ERR_'.length).toLowerCase() }))
    this.code = closing
    this.end()
  }

  private end(): void {
    if (this.closed) return
    this.closed = true
    const listeners = [...this.closedListeners]
    this.closedListeners.clear()
    for (const listener of listeners) listener()
  }
}

function flood(reason: string): Fault {
  return new Fault('rate.exceeded', { reason, retryAfterMs: 1_000 })
}

const broken: Readonly<Record<string, readonly [fault: 'body.too-large' | 'body.malformed', code: number]>> = {
  WS_ERR_UNSUPPORTED_MESSAGE_LENGTH: ['body.too-large', 1009],
  WS_ERR_UNSUPPORTED_DATA_PAYLOAD_LENGTH: ['body.too-large', 1009],
  WS_ERR_TOO_MANY_BUFFERED_PARTS: ['body.too-large', 1008],
  WS_ERR_INVALID_UTF8: ['body.malformed', 1007],
}

/** What the library keeps of a message that has not come whole. It tells nobody that one has begun, and says nothing of time. */
interface Receiver {
  readonly _state: number
  readonly _fragmented: number
  readonly _bufferedBytes: number
}

function receiverOf(socket: WebSocket): Receiver {
  const receiver = (socket as unknown as { readonly _receiver?: Receiver })._receiver
  if (typeof receiver?._state !== 'number' || typeof receiver._fragmented !== 'number')
    throw new Error('this version of ws does not say whether a message is incomplete')
  return receiver
}

function isIncomplete({ _state, _fragmented, _bufferedBytes }: Receiver): boolean {
  return _state !== 0 || _fragmented !== 0 || _bufferedBytes > 0
}
