import type { Awaitable, Message, RequestId } from '../call.ts'
import type { Admitted } from '../dispatch/ready.ts'
import { openSessionStream } from '../dispatch/session-endpoints.ts'
import { Fault, faultOf } from '../errors.ts'
import type { Head } from '../guard/gate.ts'
import { chargeRefused } from '../guard/limit-calls.ts'
import { type Host, noHead } from '../guard/local.ts'
import { type Channel, ChannelReply } from '../transport/channel.ts'
import { LineCall } from '../transport/line-call.ts'
import { refusalLine } from '../transport/refuse.ts'
import type { Assembly } from './assembly.ts'

export interface ConversationParts {
  readonly channel: Channel
  readonly assembly: Assembly
  readonly credential: string
  readonly onRefused: (call: LineCall, fault: Fault) => void
}

/** What is said over one channel, and what of it is still to be answered. */
export abstract class Conversation implements Host {
  readonly credential: string
  readonly head: Head = noHead
  sessionId: string | undefined
  protected readonly channel: Channel
  protected readonly assembly: Assembly
  protected readonly onRefused: (call: LineCall, fault: Fault) => void
  private readonly underway = new Map<RequestId, ChannelReply>()
  /** Carries what the server says unasked, in the stateful revisions. */
  private unasked: ChannelReply | undefined
  private readonly sessionHeader: string

  constructor({ channel, assembly, credential, onRefused }: ConversationParts) {
    this.channel = channel
    this.assembly = assembly
    this.credential = credential
    this.onRefused = onRefused
    this.sessionHeader = assembly.services.sessionHeader
    channel.onClosed(() => {
      for (const reply of [...this.underway.values()]) reply.leave()
      this.unasked?.leave()
    })
  }

  /** The guards of a message. */
  protected abstract run(call: LineCall<this>): Awaitable<Admitted>

  isAnswering(id: RequestId): boolean {
    return this.underway.has(id)
  }

  /** How many requests wait for their answers. */
  get answering(): number {
    return this.underway.size
  }

  /** Guards see one message after the other, so that a cancellation finds what it cancels. Answers come as they are ready. */
  async line(bytes: Buffer): Promise<void> {
    const call = new LineCall(this.assembly.gate, this, bytes)
    try {
      await this.admit(call)
    } catch (thrown) {
      await this.refuse(call, faultOf(thrown))
    }
  }

  /** A message that was too long, and of which nothing was kept. */
  async overlong(): Promise<void> {
    const { gate } = this.assembly
    const call = new LineCall(gate, this, Buffer.alloc(0))
    Object.assign(call, { requestId: gate.nextRequestId(), startedAt: gate.clock() })
    await this.refuse(call, new Fault('body.too-large'))
  }

  protected async refuse(call: LineCall<this>, refused: Fault): Promise<void> {
    const fault = await chargeRefused(call, refused)
    this.onRefused(call, fault)
    const line = refusalLine(fault, call)
    if (line !== undefined) this.channel.send(line)
  }

  /** Told of the session that `initialize` has opened. */
  protected opened(sessionId: string): void {
    this.sessionId = sessionId
  }

  /** Told when a request is answered, or given up. */
  protected settled(): void {}

  private async admit(arrived: LineCall<this>): Promise<void> {
    const call = await this.run(arrived)
    const { message } = call
    await this.listen(call)
    if (message.kind !== 'request') {
      if (message.kind === 'notification' && message.method === 'notifications/cancelled') this.cancel(message)
      await this.assembly.dispatch(call, new ChannelReply(this.channel, ignore, ignore))
      return
    }
    const { id } = message
    const over = () => {
      this.underway.delete(id)
      this.settled()
    }
    const reply = new ChannelReply(
      this.channel,
      (name, value) => {
        if (name === this.sessionHeader) this.opened(value)
      },
      over,
    )
    this.underway.set(id, reply)
    let answered: unknown
    try {
      answered = this.assembly.dispatch(call, reply)
    } catch (thrown) {
      over()
      throw thrown
    }
    // What comes after it belongs to the session that it opens.
    if (message.method === 'initialize') await answered
    else if (answered instanceof Promise) answered.catch((thrown) => void this.refuse(arrived, faultOf(thrown)))
  }

  /** Leaving a call cancels it in the stateless revision; in the others dispatch does. */
  private cancel({ params }: Extract<Message, { kind: 'notification' }>): void {
    const { requestId } = params
    if (typeof requestId === 'string' || typeof requestId === 'number') this.underway.get(requestId)?.leave()
  }

  /** A session hears what changes from its first message on. Where its stream was ended, the next message opens it again. */
  private async listen({ session, principal, startedAt }: Admitted): Promise<void> {
    if (session === undefined || this.unasked?.gone === false) return
    const reply = new ChannelReply(this.channel, ignore, ignore)
    await openSessionStream(this.assembly.services, { session, principal, startedAt }, undefined, reply)
    this.unasked = reply
  }
}

function ignore(): void {}
