import type { Params, Reply, RequestId } from '../call.ts'
import type { ErrorCode, Fault } from '../errors.ts'
import { encodeError, encodeResult } from '../wire/json-rpc.ts'
import { retryAfter } from '../wire/retry-after.ts'
import type { Revision } from '../wire/revision.ts'

/** Whether an answer streams when there is something to stream, never, or always. */
export type ResponseMode = 'auto' | 'json' | 'stream'

/** The line to the client while one request is answered. */
export interface Line {
  /** Sends a notification before the answer, if the form of the answer has room for one. */
  notify(message: string): void
  result(id: RequestId, result: string): void
  error(id: RequestId, fault: Fault): void
  /** Ends without an answer. */
  silence(): void
  /** Lets go of the response stream; the client resumes it after `retryMs`. */
  release(retryMs: number): void
  /** The server stops: lets go of a stream that can be resumed from another. */
  letGo(): void
  onGone(listener: () => void): void
  /** Keeps the connection although nothing passes over it. */
  bePatient(): void
  /** Adds a header to an answer that has not begun. */
  header(name: string, value: string): void
  /** Asks the client something while it waits; absent where this revision does not ask that way. */
  ask?(method: string, params: Params, signal: AbortSignal): Promise<Params>
}

/** What a fault looks like inside an answer. */
export function faultBody(fault: Fault, revision: Revision, requestId: string) {
  const { code } = fault.spec
  const data = fault.code === 'internal' ? { code, requestId } : { code, ...fault.detail.data }
  return { code: revision.rpcCode(fault), message: fault.sentence, data }
}

/** Faults that are the status of their answer too: a capability that the client should have declared, a cap that is reached. */
const ownStatus: ReadonlySet<ErrorCode> = new Set(['capability.missing', 'session.capacity', 'capacity.exceeded'])

/** Why a tool is refused one question more: it has begun, so that its call must not be sent again. */
export const tooManyQuestions = 'questions'

/**
 * The status of a fault after dispatch, where nothing has been streamed: most travel inside a 200. None of a tool that has begun is a 503,
 * which a proxy takes for leave to send the call to another server.
 */
export function faultStatus(fault: Fault, revision: Revision): number {
  return ownStatus.has(fault.code) && fault.detail.reason !== tooManyQuestions ? revision.status(fault) : 200
}

/** Answers with a fault on a line where nothing has been streamed. */
export function answerFault(reply: Reply, fault: Fault, revision: Revision, body: string): void {
  const status = faultStatus(fault, revision)
  if (status === 503) reply.header('Retry-After', String(retryAfter(fault)))
  reply.answer(body, status)
}

/** The line of the stateless revision: it ends with its request, and leaving it cancels the call. */
export class DirectLine implements Line {
  private readonly reply: Reply
  private readonly mode: ResponseMode
  private readonly revision: Revision
  private readonly requestId: string

  constructor(reply: Reply, mode: ResponseMode, revision: Revision, requestId: string) {
    this.reply = reply
    this.mode = mode
    this.revision = revision
    this.requestId = requestId
  }

  notify(message: string): void {
    if (this.mode !== 'json') this.reply.event(message)
  }

  result(id: RequestId, result: string): void {
    if (this.mode === 'stream') this.reply.openStream()
    this.reply.answer(encodeResult(id, result), 200)
  }

  error(id: RequestId, fault: Fault): void {
    const body = encodeError(id, faultBody(fault, this.revision, this.requestId))
    answerFault(this.reply, fault, this.revision, body)
  }

  silence(): void {
    this.reply.openStream()
    this.reply.finish()
  }

  release(): void {
    // This revision has no resumption: the stream stays until the answer.
  }

  letGo(): void {
    // It stays until the answer.
  }

  onGone(listener: () => void): void {
    this.reply.onGone(listener)
  }

  bePatient(): void {
    this.reply.bePatient()
  }

  header(name: string, value: string): void {
    this.reply.header(name, value)
  }
}
