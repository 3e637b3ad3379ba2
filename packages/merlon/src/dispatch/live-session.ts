import { type KeyObject, randomInt } from 'node:crypto'
import type { Message, Params, Principal, Reply, RequestId } from '../call.ts'
import { Fault } from '../errors.ts'
import type { Session } from '../session/session-store.ts'
import { encodeRequest } from '../wire/json-rpc.ts'
import { tooManyQuestions } from './line.ts'
import { isQuestionId, questionId } from './question-id.ts'
import type { Resumption } from './resumption.ts'
import { type Answering, SessionStream } from './session-stream.ts'

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
  /** Whether this process tells it of changes that any process announces. */
  tells = false
  private readonly resumption: Resumption | undefined
  private readonly questionKey: KeyObject
  private streams: Map<number, SessionStream> | undefined
  /** Who reads a stream by a GET, or is about to, by its number. */
  private readers: Map<number, { readonly reply: Reply; readonly principal: Principal }> | undefined
  private turns: Map<RequestId, Underway> | undefined
  private questions: Map<RequestId, Question> | undefined

  constructor(
    session: Session,
    principal: Principal,
    resumption: Resumption | undefined,
    /** Recognises the ids of questions. */
    questionKey: KeyObject,
  ) {
    this.session = session
    this.principal = principal
    this.resumption = resumption
    this.questionKey = questionKey
  }

  get id(): string {
    return this.session.id
  }

  /** Nothing here that a later call would miss. */
  get isIdle(): boolean {
    return !this.tells && !this.streams?.size && !this.readers?.size && !this.turns?.size && !this.questions?.size
  }

  get canResume(): Resumption | undefined {
    return this.resumption
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
  openStream(answering: Answering): SessionStream {
    return this.addStream(randomInt(standaloneStream + 1, streamsEnd), answering)
  }

  findStream(number: number): SessionStream | undefined {
    return this.streams?.get(number)
  }

  dropStream(stream: SessionStream): void {
    this.streams?.delete(stream.number)
  }

  /** Whether somebody reads a stream here, or is about to. */
  isRead(number: number): boolean {
    return this.readers?.has(number) === true || this.findStream(number)?.taken === true
  }

  read(number: number, reply: Reply, principal: Principal): void {
    this.readers ??= new Map()
    this.readers.set(number, { reply, principal })
  }

  /**
   * Who hears what the session is told: who reads its own stream here, whatever credential of theirs called last, which may
   * reach further.
   */
  get hearer(): Principal {
    return this.readers?.get(standaloneStream)?.principal ?? this.principal
  }

  leave(number: number, reply: Reply): void {
    if (this.readers?.get(number)?.reply === reply) this.readers.delete(number)
  }

  /** Lets go of who reads a stream by a GET: they may come back. */
  stopReading(number: number): void {
    this.readers?.get(number)?.reply.finish()
  }

  /**
   * What to ask on where the answer of a call has no room for a question: the session's own stream, undefined where nobody has
   * opened it. Who reads it may be connected to another process.
   */
  async streamToAskOn(): Promise<SessionStream | undefined> {
    const { resumption, session } = this
    if (!resumption?.replicas.shared) return this.standalone
    return (await resumption.history.isOpen(session))
      ? new SessionStream(session, standaloneStream, resumption)
      : undefined
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

  /** Cancels the request of this id: false where this process answers none. */
  cancel(id: RequestId): boolean {
    const turn = this.turns?.get(id)
    turn?.cancel(new Fault('call.cancelled'))
    return turn !== undefined
  }

  /** Asks the client on this stream. Rejects where it answers with an error, or the signal aborts. */
  ask(stream: SessionStream, method: string, params: Params, signal: AbortSignal): Promise<Params> {
    this.questions ??= new Map()
    const { questions } = this
    if (questions.size >= questionsMax)
      return Promise.reject(new Fault('capacity.exceeded', { reason: tooManyQuestions }))
    const id = questionId(this.questionKey, this.id)
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

  /** Whether this id was given to a question of this session, in whichever process. */
  mayHaveAsked(id: RequestId): boolean {
    return isQuestionId(this.questionKey, this.id, id)
  }

  /** Takes an answer, once and only to a question that is open here: false, and without effect, for anything else. */
  answer(message: Pick<Extract<Message, { kind: 'response' }>, 'id' | 'result' | 'error'>): boolean {
    const question = this.questions?.get(message.id)
    if (question === undefined) return false
    this.questions?.delete(message.id)
    if (message.result !== undefined) question.resolve(message.result)
    else question.reject(new Fault('client.refused', { says: String(message.error?.message ?? '').slice(0, 200) }))
    return true
  }

  /** Ends all: the session is over. Its streams first, so that nothing is kept of it any more. */
  end(reason: Fault): void {
    this.cut()
    for (const turn of [...(this.turns?.values() ?? [])]) turn.cancel(reason)
    for (const question of this.questions?.values() ?? []) question.reject(reason)
    this.questions = undefined
  }

  /** Resolves when all that was sent on its streams is kept or refused. */
  async settled(): Promise<void> {
    const streams = [...(this.streams?.values() ?? [])]
    await Promise.all(streams.map((stream) => new Promise<void>((done) => stream.onceKept(done))))
  }

  /** Ends its streams here, for those who make them and those who read them. */
  cut(): void {
    for (const stream of [...(this.streams?.values() ?? [])]) stream.stop()
    for (const { reply } of [...(this.readers?.values() ?? [])]) reply.finish()
    this.streams = undefined
    this.readers = undefined
    this.tells = false
  }

  private addStream(number: number, answering?: Answering): SessionStream {
    this.streams ??= new Map()
    const stream = new SessionStream(this.session, number, this.resumption, answering)
    this.streams.set(number, stream)
    return stream
  }
}
