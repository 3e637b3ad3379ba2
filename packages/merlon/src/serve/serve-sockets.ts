import type { Awaitable, Instant, Principal } from '../call.ts'
import type { Config } from '../config/schema.ts'
import type { Admitted } from '../dispatch/ready.ts'
import type { Running } from '../dispatch/running.ts'
import { Fault } from '../errors.ts'
import { every } from '../every.ts'
import { decode } from '../guard/decode.ts'
import type { Head } from '../guard/gate.ts'
import { type Opened, socketProtocol } from '../guard/handshake.ts'
import { noHead } from '../guard/local.ts'
import { socketEdge, socketMessage, socketOpen } from '../guard/pipeline.ts'
import type { SocketHost } from '../guard/socket.ts'
import type { Tickets } from '../identity/tickets.ts'
import type { Scheme } from '../identity/verdict.ts'
import type { HttpCall } from '../transport/http-call.ts'
import { LineCall } from '../transport/line-call.ts'
import type { Closing, Messages, Socket } from '../transport/socket.ts'
import type { Upgrades } from '../transport/upgrade.ts'
import { Sockets } from '../transport/websocket.ts'
import type { Assembly } from './assembly.ts'
import { Conversation } from './conversation.ts'

export interface SocketParts {
  readonly config: Config
  readonly assembly: Assembly
  readonly tickets: Tickets
  readonly onRefused: (call: HttpCall | LineCall, fault: Fault) => void
}

/** Sockets beside the HTTP endpoint. */
export interface ServingSockets {
  readonly upgrades: Upgrades
  /** How many are open. */
  readonly size: number
  /** Ends those that are left. Calls under way have been waited for before. */
  close(): Promise<void>
}

/** A message of a socket is never larger, whatever a body may have. */
const messageBytesMax = 1_048_576

/** The same calls over WebSocket: a socket is one caller, opened behind the outer door, and each message goes through the inner one. */
export function serveSockets({ config, assembly, tickets, onRefused }: SocketParts): ServingSockets {
  const { limits, webSocket } = config
  const { gate, services } = assembly
  const conversations = new Set<SocketConversation>()
  const sockets = new Sockets({
    protocol: socketProtocol,
    bounds: {
      messageBytesMax: Math.min(limits.messageBytesMax, messageBytesMax),
      bufferBytesMax: limits.streamBufferBytesMax,
      heartbeatMs: limits.heartbeatMs,
      stallMs: limits.streamStallMs,
      idleMs: webSocket.idleMs,
    },
    steadyClock: gate.steadyClock,
  })
  const guards = socketOpen(tickets)
  const failed = (cause: unknown) => services.log.error({ err: cause }, 'clearing away tickets failed')
  const sweeping = every(5_000, () => tickets.sweep(gate.clock()), failed)

  /** Refuses one socket more where there is no room for it. */
  const checkRoom = ({ binding }: Principal) => {
    let own = 0
    for (const conversation of conversations) if (conversation.binding === binding) own++
    if (own >= webSocket.perPrincipalMax || sockets.size >= webSocket.totalMax)
      throw new Fault('capacity.exceeded', { reason: 'sockets', retryAfterMs: 5_000 })
  }
  services.sessions?.onOver((id) => {
    for (const conversation of conversations) if (conversation.sessionId === id) conversation.leave('session')
  })

  return {
    get size() {
      return sockets.size
    },
    upgrades: {
      path: config.server.endpoint,
      edge: (call) => socketEdge.run(call),
      open(call, request, duplex, head) {
        const enter = (entering: Entering) => {
          checkRoom(entering.principal)
          const socket = sockets.accept(request, duplex, head)
          const conversation = new SocketConversation(socket, assembly, entering, onRefused)
          conversations.add(conversation)
          socket.onClosed(() => conversations.delete(conversation))
          conversation.begin()
        }
        const passed = guards.run(call)
        return passed instanceof Promise ? passed.then(enter) : enter(passed)
      },
    },
    close() {
      clearInterval(sweeping)
      return sockets.close()
    },
  }
}

/** Who opens a socket, and how. */
interface Entering {
  readonly principal: Principal
  readonly opened: Opened
  readonly requestId: string
  readonly startedAt: Instant
  readonly address: string
  readonly head: Head
}

/** What is said over one socket. It ends with its credential, with its session, and with the server. */
class SocketConversation extends Conversation implements SocketHost, Messages {
  readonly address: string
  readonly scheme: Scheme
  readonly binding: string
  override readonly head: Head
  private readonly socket: Socket
  private readonly entering: Entering
  private leavingFor: Closing | undefined

  constructor(socket: Socket, assembly: Assembly, entering: Entering, onRefused: SocketParts['onRefused']) {
    super({ channel: socket, assembly, credential: entering.opened.credential, onRefused })
    this.socket = socket
    this.entering = entering
    this.address = entering.address
    this.scheme = entering.opened.scheme
    this.binding = entering.principal.binding
    // Of the request that opened it only the certificate of the connection still says something.
    const { certificateThumbprint } = entering.head
    this.head = certificateThumbprint === undefined ? noHead : { ...noHead, certificateThumbprint }
    socket.read(this)
  }

  get leaving(): boolean {
    return this.leavingFor !== undefined
  }

  get busy(): boolean {
    return this.answering > 0
  }

  /** Follows what may end it from outside: its credential, and the end of the server. */
  begin(): void {
    const { running } = this.assembly.services
    // When it came, not now: its credential may have been withdrawn since it was checked.
    const { principal, startedAt } = this.entering
    const open: Running = {
      tenant: principal.tenant,
      tool: undefined,
      credential: principal.credential,
      binding: principal.binding,
      credentialEndsAt: principal.expiresAt,
      vouched: principal.vouched,
      deadline: Number.POSITIVE_INFINITY,
      startedAt,
      withdraw: (fault) => this.withdraw(fault),
      bePatient: () => undefined,
    }
    this.record('socket')
    this.socket.onClosed(() => {
      running.remove(open)
      this.endSession()
      this.record('socket.close', String(this.socket.code), this.assembly.gate.clock() - startedAt)
    })
    try {
      // How many there may be has been asked before it was opened.
      running.addStream(open, Number.POSITIVE_INFINITY)
    } catch {
      this.leave('credential')
    }
  }

  message(bytes: Buffer): Promise<void> {
    return this.line(bytes)
  }

  broken(fault: Fault): void {
    const { gate } = this.assembly
    const call = new LineCall(gate, this, nothing)
    Object.assign(call, { requestId: gate.nextRequestId(), startedAt: gate.clock(), address: this.address })
    call.principal = this.entering.principal
    this.onRefused(call, fault)
  }

  /** Closes when what is under way has been answered. */
  leave(why: Closing): void {
    this.leavingFor ??= why
    if (!this.busy || why === 'session' || why === 'credential') this.socket.close(why)
  }

  protected run(call: LineCall<this>): Awaitable<Admitted> {
    return socketMessage.run(call)
  }

  protected override async refuse(call: LineCall<this>, refused: Fault): Promise<void> {
    const unread = call.message === undefined
    // Whoever has nothing left is not read on for a moment: to be refused costs more than to ask.
    if (unread && refused.spec.retry)
      await this.socket.rest(Math.min(refused.detail.retryAfterMs ?? pauseMsMax, pauseMsMax))
    if (unread) readId(call)
    await super.refuse(call, refused)
    if (refused.code === 'credential.invalid') this.leave('credential')
    else if (refused.code === 'session.unknown' && this.sessionId !== undefined) this.leave('session')
  }

  protected override opened(sessionId: string): void {
    super.opened(sessionId)
    this.assembly.services.live.bindToConnection(sessionId)
  }

  protected override settled(): void {
    if (this.leavingFor !== undefined && !this.busy) this.socket.close(this.leavingFor)
  }

  private withdraw({ code, detail }: Fault): void {
    if (code === 'server.draining') this.leave(detail.reason === 'changed' ? 'changed' : 'leaving')
    // What it has under way is told first why it ends.
    else setImmediate(() => this.leave('credential'))
  }

  /** Nobody but this socket could go on with it. */
  private endSession(): void {
    const { sessionId } = this
    if (sessionId === undefined) return
    const { services } = this.assembly
    const failed = (cause: unknown) => services.log.error({ err: cause }, 'ending the session of a socket failed')
    services.live.end(sessionId)
    void (async () => services.sessions?.end(sessionId, this.binding, services.clock()))().catch(failed)
  }

  private record(action: string, outcome?: string, durationMs?: number): void {
    const { principal, requestId, address } = this.entering
    this.assembly.gate.audit.append({
      type: 'session',
      success: true,
      level: 'info',
      requestId,
      ip: address,
      clientId: principal.credential,
      principal: principal.id,
      tenant: principal.tenant,
      action,
      outcome,
      durationMs,
    })
  }
}

const nothing = Buffer.alloc(0)
const pauseMsMax = 1_000

/** An answer reaches nobody without the id of its request; what a message asks for is not looked at. */
function readId(call: LineCall): void {
  if (call.body.length === 0) return
  try {
    Object.assign(call, decode(call))
  } catch {
    // It has none that can be read.
  }
}
