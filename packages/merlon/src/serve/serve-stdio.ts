import { resolve } from 'node:path'
import type { Readable } from 'node:stream'
import type { ControlParts } from '../admin/parts.ts'
import type { Sessions } from '../admin/sessions.ts'
import type { AuditEntry } from '../audit/audit-log.ts'
import type { Message, RequestId } from '../call.ts'
import type { Admitted } from '../dispatch/ready.ts'
import { openSessionStream } from '../dispatch/session-endpoints.ts'
import { Fault, faultOf } from '../errors.ts'
import { chargeRefused } from '../guard/limit-calls.ts'
import type { Host } from '../guard/local.ts'
import { stdio, stdioKnown } from '../guard/pipeline.ts'
import { ProxyRanges } from '../guard/proxy-ranges.ts'
import { LineCall } from '../transport/line-call.ts'
import { refusalLine } from '../transport/refuse.ts'
import { type LineOutput, Pipe, PipeReply } from '../transport/stdio.ts'
import { type Assembly, type AssemblyOptions, assemble } from './assembly.ts'
import { sessionsOf } from './control-parts.ts'
import { observeRefusal } from './observe.ts'
import { serveControl } from './serve-admin.ts'

export interface ServeStdioOptions extends AssemblyOptions {
  /** The API key that the environment named. */
  readonly credential: string
  readonly input: Readable
  readonly output: LineOutput
  /** What the control plane works with, given the sessions of this process. */
  readonly control: (sessions: Sessions | undefined) => ControlParts
}

export interface ServingStdio {
  /** Where the control plane is: in the data folder, and nowhere else. */
  readonly socket: string | undefined
  /** Resolves when the host has closed the pipe. */
  readonly ended: Promise<void>
  /** Takes no new calls, lets those under way finish for a moment, and ends what is left. */
  close(): Promise<void>
}

/** A session of a pipe ends with it. In milliseconds: no clock reaches it, and a date can still be made of it. */
export const lifelongMs = 100 * 365 * 86_400_000
/** Hosts kill a process that has not gone two seconds after its input was closed. */
const drainGraceMs = 1_000

/** Whoever is at the pipe sends no Host and no Origin, and has no address. */
const nowhere = { hosts: undefined, origins: new Set<string>(), proxies: new ProxyRanges([]) }
const place = '"transport":"stdio"'

/**
 * Serves the catalog to the process that started this one, over its standard streams. Rejects with a Fault, which is
 * recorded, where the key is not good: a host is told when it starts us, and not with its first call.
 */
export async function serveStdio(options: ServeStdioOptions): Promise<ServingStdio> {
  const { config, installation, sessions, watch, log, clock } = options
  const assembly = await assemble(options, nowhere, {
    responseMode: 'auto',
    sessionDurationMs: lifelongMs,
    placeOf: () => place,
  })
  const { gate, load, strangers } = assembly
  const refusals = { ...{ watch, log, clock }, audit: marked(installation.audit), strangers: marked(strangers) }
  const onRefused = (call: LineCall, fault: Fault) => {
    call.address = undefined
    observeRefusal(call, fault, refusals)
  }
  const pipe = new Pipe({
    input: options.input,
    output: options.output,
    lineBytesMax: config.limits.messageBytesMax,
    bufferBytesMax: config.limits.streamBufferBytesMax,
  })
  const conversation = new Conversation(pipe, assembly, options.credential, onRefused)

  const opening = new LineCall(gate, conversation, Buffer.alloc(0))
  try {
    await stdioKnown.run(opening)
  } catch (thrown) {
    const fault = faultOf(thrown)
    onRefused(opening, fault)
    assembly.close()
    throw fault
  }

  const control = await serveControl({
    config: { ...config, admin: { ...config.admin, listener: 'off' } },
    parts: options.control(sessions && sessionsOf(sessions, clock)),
    folder: resolve(options.project, config.store.folder),
    gate,
    verify: assembly.verify('control'),
    tls: undefined,
    log,
    onRefused: (call, fault) =>
      observeRefusal(call, fault, { ...{ watch, log, clock, strangers }, audit: installation.audit }),
  })
  assembly.follow()
  watch.followServing({ streams: () => 0, calls: () => assembly.services.running.size })
  const ended = pipe.read(conversation)

  let closing: Promise<void> | undefined
  const close = async () => {
    // What was read before the end is answered first.
    load.draining = true
    const uncontrolled = control.close()
    await assembly.services.running.drain(pipe.closed ? 0 : drainGraceMs)
    pipe.close()
    await uncontrolled
    assembly.close()
  }
  return {
    socket: control.socket,
    ended,
    close() {
      closing ??= close()
      return closing
    },
  }
}

/** Records say over what it came, in the place of an address. */
function marked(log: { append(entry: AuditEntry): void }): { append(entry: AuditEntry): void } {
  return { append: (entry) => log.append({ ...entry, transport: 'stdio' }) }
}

/** What is said over one pipe, and what of it is still to be answered. */
class Conversation implements Host {
  readonly credential: string
  sessionId: string | undefined
  private readonly pipe: Pipe
  private readonly assembly: Assembly
  private readonly onRefused: (call: LineCall, fault: Fault) => void
  private readonly underway = new Map<RequestId, PipeReply>()
  /** Carries what the server says unasked, in the stateful revisions. */
  private unasked: PipeReply | undefined
  private readonly sessionHeader: string

  constructor(pipe: Pipe, assembly: Assembly, credential: string, onRefused: (call: LineCall, fault: Fault) => void) {
    this.pipe = pipe
    this.assembly = assembly
    this.credential = credential
    this.onRefused = onRefused
    this.sessionHeader = assembly.services.sessionHeader
    pipe.onClosed(() => {
      for (const reply of [...this.underway.values()]) reply.leave()
      this.unasked?.leave()
    })
  }

  isAnswering(id: RequestId): boolean {
    return this.underway.has(id)
  }

  /** Guards see one line after the other, so that a cancellation finds what it cancels. Answers come as they are ready. */
  async line(bytes: Buffer): Promise<void> {
    const call = new LineCall(this.assembly.gate, this, bytes)
    try {
      await this.admit(call)
    } catch (thrown) {
      await this.refuse(call, faultOf(thrown))
    }
  }

  async overlong(): Promise<void> {
    const { gate } = this.assembly
    const call = new LineCall(gate, this, Buffer.alloc(0))
    Object.assign(call, { requestId: gate.nextRequestId(), startedAt: gate.clock() })
    await this.refuse(call, new Fault('body.too-large'))
  }

  private async admit(arrived: LineCall): Promise<void> {
    const call = await stdio.run(arrived)
    const { message } = call
    await this.listen(call)
    if (message.kind !== 'request') {
      if (message.kind === 'notification' && message.method === 'notifications/cancelled') this.cancel(message)
      await this.assembly.dispatch(call, new PipeReply(this.pipe, ignore, ignore))
      return
    }
    const { id } = message
    const reply = new PipeReply(
      this.pipe,
      (name, value) => {
        if (name === this.sessionHeader) this.sessionId = value
      },
      () => this.underway.delete(id),
    )
    this.underway.set(id, reply)
    let answered: unknown
    try {
      answered = this.assembly.dispatch(call, reply)
    } catch (thrown) {
      this.underway.delete(id)
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
  private async listen({ session, principal }: Admitted): Promise<void> {
    if (session === undefined || this.unasked?.gone === false) return
    const reply = new PipeReply(this.pipe, ignore, ignore)
    await openSessionStream(this.assembly.services, { session, principal }, undefined, reply)
    this.unasked = reply
  }

  private async refuse(call: LineCall, refused: Fault): Promise<void> {
    const fault = await chargeRefused(call, refused)
    this.onRefused(call, fault)
    const line = refusalLine(fault, call)
    if (line !== undefined) this.pipe.send(line)
  }
}

function ignore(): void {}
