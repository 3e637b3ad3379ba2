import { resolve } from 'node:path'
import type { Readable } from 'node:stream'
import type { ControlParts } from '../admin/parts.ts'
import type { Sessions } from '../admin/sessions.ts'
import type { AuditEntry } from '../audit/audit-log.ts'
import type { Awaitable } from '../call.ts'
import type { Admitted } from '../dispatch/ready.ts'
import { type Fault, faultOf } from '../errors.ts'
import { stdio, stdioKnown } from '../guard/pipeline.ts'
import { ProxyRanges } from '../guard/proxy-ranges.ts'
import { LineCall } from '../transport/line-call.ts'
import { type LineOutput, Pipe } from '../transport/stdio.ts'
import { type AssemblyOptions, assemble } from './assembly.ts'
import { sessionsOf } from './control-parts.ts'
import { Conversation } from './conversation.ts'
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
  const { credential } = options
  const conversation = new PipeConversation({ channel: pipe, assembly, credential, onRefused })

  const opening = new LineCall(gate, conversation, Buffer.alloc(0))
  try {
    await stdioKnown.run(opening)
  } catch (thrown) {
    const fault = faultOf(thrown)
    onRefused(opening, fault)
    await assembly.close()
    throw fault
  }

  await assembly.follow()
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
    await assembly.close()
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

/** What is said over the pipe. */
class PipeConversation extends Conversation {
  protected run(call: LineCall<this>): Awaitable<Admitted> {
    return stdio.run(call)
  }
}
