import { randomBytes, randomInt } from 'node:crypto'
import type { Message, Params, Principal, RequestId } from '../call.ts'
import { Fault } from '../errors.ts'
import { encodeEventId } from '../history/event-id.ts'
import type { HistoryEvent } from '../history/history-store.ts'
import type { Session } from '../session/session-store.ts'
import { encodeRequest } from '../wire/json-rpc.ts'
import { type Resumption, SessionStream } from './session-stream.ts'

/** A call that is being answered, as far as its session minds it. */
interface Underway {
  cancel(reason: Fault): void
}

interface Question {
  readonly resolve: (result: Params) => void
  readonly reject: (reason: Fault) => void
}

/** The number of the stream that is not the answer to a request. */
export const standaloneStream = 0
const questionsMax = 100
const streamsEnd = 2 ** 32

/** What one process holds of a session beside its record: open streams, questions without an answer, calls being answered. */
export class LiveSession {
  session: Session
  principal: Principal
  private readonly resumption: Resumption | undefined
  private streams: Map<number, SessionStream> | undefined
  private turns: Map<RequestId, Underway> | undefined
  private questions: Map<RequestId, Question> | undefined

  constructor(session: Session, principal: Principal, resumption: Resumption | undefined) {
    this.session = session
    this.principal = principal
    this.resumption = resumption
  }

  get id(): string {
    return this.session.id
  }

  /** Nothing here that a later call would miss. */
  get isIdle(): boolean {
    return !this.streams?.size && !this.turns?.size && !this.questions?.size
  }

  get canResume(): Resumption | undefined {
    return this.resumption
  }

  /** The id that names this event to the client. */
  eventId(event: HistoryEvent): string | undefined {
    return this.resumption && encodeEventId(this.resumption.key, this.id, event.stream, event.seq)
  }

  /** The stream that is not the answer to a request; undefined until the client opens it. */
  get standalone(): SessionStream | undefined {
    return this.streams?.get(standaloneStream)
  }

  openStandalone(): SessionStream {
    const { standalone } = this
    return standalone === undefined || standalone.isBroken ? this.addStream(standaloneStream) : standalone
  }

  /** Its number is drawn: the history of the session outlives what counts here, and may hold streams of another process. */
  openStream(): SessionStream {
    return this.addStream(randomInt(standaloneStream + 1, streamsEnd))
  }

  findStream(number: number): SessionStream | undefined {
    return this.streams?.get(number)
  }

  dropStream(stream: SessionStream): void {
    this.streams?.delete(stream.number)
  }

  /** Whether a request with this id waits for its answer: a second one could take it for its own. */
  isAnswering(id: RequestId): boolean {
    return this.turns?.has(id) === true
  }

  begin(id: RequestId, turn: Underway): void {
    this.turns ??= new Map()
    this.turns.set(id, turn)
  }

  finish(id: RequestId): void {
    this.turns?.delete(id)
  }

  cancel(id: unknown): void {
    if (typeof id === 'string' || typeof id === 'number') this.turns?.get(id)?.cancel(new Fault('call.cancelled'))
  }

  /** Asks the client on this stream. Rejects where it answers with an error, or the signal aborts. */
  ask(stream: SessionStream, method: string, params: Params, signal: AbortSignal): Promise<Params> {
    this.questions ??= new Map()
    const { questions } = this
    if (questions.size >= questionsMax) return Promise.reject(new Fault('capacity.exceeded'))
    const id = randomBytes(16).toString('base64url')
    return new Promise<Params>((resolve, reject) => {
      const abort = () => {
        questions.delete(id)
        reject(signal.reason instanceof Fault ? signal.reason : new Fault('call.cancelled'))
      }
      if (signal.aborted) return abort()
      signal.addEventListener('abort', abort, { once: true })
      const settled = () => signal.removeEventListener('abort', abort)
      questions.set(id, {
        resolve: (result) => {
          settled()
          resolve(result)
        },
        reject: (reason) => {
          settled()
          reject(reason)
        },
      })
      stream.send(encodeRequest(id, method, params))
    })
  }

  /** Takes an answer, once and only to a question that is open. Anything else has no effect. */
  answer(message: Extract<Message, { kind: 'response' }>): void {
    const question = this.questions?.get(message.id)
    if (question === undefined) return
    this.questions?.delete(message.id)
    if (message.result !== undefined) question.resolve(message.result)
    else question.reject(new Fault('client.refused', { says: String(message.error?.message ?? '').slice(0, 200) }))
  }

  /** Ends all: the session is over. */
  end(reason: Fault): void {
    for (const turn of [...(this.turns?.values() ?? [])]) turn.cancel(reason)
    for (const stream of [...(this.streams?.values() ?? [])]) stream.close()
    for (const question of this.questions?.values() ?? []) question.reject(reason)
    this.streams = undefined
    this.questions = undefined
  }

  private addStream(number: number): SessionStream {
    this.streams ??= new Map()
    const stream = new SessionStream(this.session, number, this.resumption)
    this.streams.set(number, stream)
    return stream
  }
}
