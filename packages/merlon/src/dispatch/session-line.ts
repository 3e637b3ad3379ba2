import type { Params, Reply, RequestId } from '../call.ts'
import { Fault } from '../errors.ts'
import { encodeError, encodeResult } from '../wire/json-rpc.ts'
import type { Revision } from '../wire/revision.ts'
import { answerFault, faultBody, type Line, type ResponseMode } from './line.ts'
import type { LiveSession } from './live-session.ts'
import type { LiveSessions } from './live-sessions.ts'
import type { Ready } from './ready.ts'
import { encodeAbout, lostAnswer } from './replay.ts'
import { resumeAfterMs } from './resumption.ts'
import type { SessionStream } from './session-stream.ts'

/**
 * The line of the stateful revisions. A stream begins with the first thing there is to stream; the call goes on when the
 * client leaves, and the client may come back for the rest.
 */
export class SessionLine implements Line {
  private stream: SessionStream | undefined
  private readonly reply: Reply
  private readonly mode: ResponseMode
  private readonly revision: Revision
  private readonly call: Ready
  /** Finds what is held for the session. Most calls hold nothing, and never ask. */
  private readonly live: () => LiveSession
  private readonly sessions: LiveSessions

  constructor(reply: Reply, mode: ResponseMode, call: Ready, live: () => LiveSession, sessions: LiveSessions) {
    this.reply = reply
    this.mode = mode
    this.revision = call.envelope.revision
    this.call = call
    this.live = live
    this.sessions = sessions
  }

  notify(message: string): void {
    if (this.mode !== 'json') this.open().send(message)
  }

  result(id: RequestId, result: string): void {
    this.end(encodeResult(id, result))
  }

  error(id: RequestId, fault: Fault): void {
    const body = encodeError(id, faultBody(fault, this.revision, this.call.requestId))
    if (this.mode === 'stream' || this.stream !== undefined) this.end(body)
    else answerFault(this.reply, fault, this.revision, body)
  }

  silence(): void {
    if (this.stream === undefined) {
      this.reply.openStream()
      this.reply.finish()
    } else this.stream.close()
    this.drop()
  }

  release(retryMs: number): void {
    if (this.live().canResume === undefined || this.mode === 'json') return
    this.open().release(retryMs)
  }

  letGo(): void {
    // A client of a revision that primes no streams does not come back for the rest of one.
    if (this.stream !== undefined && this.revision.primesStreams && this.live().canResume?.replicas.shared)
      this.stream.release(resumeAfterMs)
  }

  onGone(): void {
    // Leaving does not cancel here: the call goes on, bounded by its time, and its answer can be fetched by a resume.
  }

  bePatient(): void {
    this.reply.bePatient()
  }

  header(name: string, value: string): void {
    this.reply.header(name, value)
  }

  async ask(method: string, params: Params, signal: AbortSignal): Promise<Params> {
    const stream = this.mode === 'json' ? await this.live().streamToAskOn() : this.open()
    if (stream === undefined) throw new Fault('capability.missing', { says: 'no stream is open to ask on' })
    return this.live().ask(stream, method, params, signal)
  }

  private end(message: string): void {
    if (this.mode === 'stream') this.open()
    if (this.stream === undefined) this.reply.answer(message, 200)
    else this.stream.finish(message)
    this.drop()
  }

  private drop(): void {
    const { stream } = this
    // Not before its last message is kept: whoever comes back until then has to find it.
    stream?.onceKept(() => {
      const live = this.live()
      live.dropStream(stream)
      this.sessions.release(live)
    })
  }

  private open(): SessionStream {
    if (this.stream === undefined) {
      const { message, requestId } = this.call
      this.stream = this.live().openStream({
        about: encodeAbout(message),
        lost: () => lostAnswer(message.id, this.revision, requestId),
      })
      this.stream.begin(this.reply)
      if (this.revision.primesStreams) this.stream.prime()
    }
    return this.stream
  }
}
