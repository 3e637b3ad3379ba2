import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { type WebSocket, WebSocketServer } from 'ws'
import type { Clock } from '../call.ts'
import { Fault } from '../errors.ts'
import { Socket, type SocketBounds } from './socket.ts'

/** Pieces of one message, and chunks of one piece: many times what a network makes of the largest message. */
const fragmentsMax = 1_024
const chunksMax = 2_048
/** How long a client may take to agree to a close. */
const closingMs = 2_000
const beatMs = 1_000

export interface SocketsOptions {
  /** The subprotocol that is agreed on, whatever else is offered. */
  readonly protocol: string
  readonly bounds: SocketBounds
  /** Whole milliseconds that no setting of the clock moves. */
  readonly steadyClock: Clock
}

/** The sockets that are open now. One timer looks after all of them. */
export class Sockets {
  private readonly options: SocketsOptions
  private readonly all = new Set<Socket>()
  private readonly server: WebSocketServer
  private timer: NodeJS.Timeout | undefined
  private problem: string | undefined

  constructor(options: SocketsOptions) {
    this.options = options
    const settings = {
      noServer: true,
      clientTracking: false,
      maxPayload: options.bounds.messageBytesMax,
      maxFragments: fragmentsMax,
      maxBufferedChunks: chunksMax,
      perMessageDeflate: false,
      autoPong: false,
      skipUTF8Validation: false,
      closeTimeout: closingMs,
      handleProtocols: () => options.protocol,
    }
    this.server = new WebSocketServer(settings)
    // With a listener it leaves the refusal to us.
    this.server.on('wsClientError', (error) => {
      this.problem = error.message
    })
  }

  get size(): number {
    return this.all.size
  }

  /** Answers a request that passed its guards with 101. Throws a Fault, and answers nothing, where it is no handshake. */
  accept(request: IncomingMessage, duplex: Duplex, head: Buffer): Socket {
    let accepted: WebSocket | undefined
    this.problem = undefined
    this.server.handleUpgrade(request, duplex, head, (socket) => {
      accepted = socket
    })
    if (accepted === undefined)
      throw this.problem === undefined ? new Fault('call.cancelled') : new Fault('handshake.refused')
    const socket = opened(accepted, duplex, this.options)
    this.all.add(socket)
    this.timer ??= setInterval(() => this.beat(), beatMs).unref()
    socket.onGone(() => {
      this.all.delete(socket)
      if (this.all.size > 0) return
      clearInterval(this.timer)
      this.timer = undefined
    })
    return socket
  }

  private beat(): void {
    for (const socket of this.all) socket.beat()
  }

  /** Ends all that are left, with a word where it is taken. */
  async close(): Promise<void> {
    const gone = [...this.all].map((socket) => new Promise<void>((resolve) => socket.onGone(resolve)))
    for (const socket of this.all) socket.close('leaving')
    const cut = setTimeout(() => {
      for (const socket of this.all) socket.cut()
    }, beatMs)
    await Promise.all(gone)
    clearTimeout(cut)
  }
}

function opened(accepted: WebSocket, duplex: Duplex, { bounds, steadyClock }: SocketsOptions): Socket {
  try {
    return new Socket(accepted, duplex, bounds, steadyClock)
  } catch (error) {
    // It has been answered: nothing else can be said on it.
    duplex.destroy()
    throw error
  }
}
