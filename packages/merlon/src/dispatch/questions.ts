import { AsyncLocalStorage } from 'node:async_hooks'
import { hash } from 'node:crypto'
import type { Awaitable, Params } from '../call.ts'
import { Fault } from '../errors.ts'
import { isObject } from '../wire/json.ts'
import { canonicalJson } from './canonical-json.ts'
import type { Ready } from './ready.ts'
import type { Turn } from './turn.ts'

/** How long an unanswered question can still be answered (2026-07-28). */
const stateLifetimeMs = 15 * 60_000

/** The methods whose answer may be a question (2026-07-28, Multi Round-Trip Requests, "Supported Requests"). */
const mayAsk: ReadonlySet<string> = new Set(['tools/call', 'prompts/get', 'resources/read'])

/** How a handler asks the client, whatever the revision. */
export interface Questions {
  /** Asks, and answers with the client's result; its shape is the asker's to check. */
  ask(key: string, method: string, params: Params): Promise<Params>
  /** Does the work once for the whole call. */
  once(key: string, work: () => Awaitable<unknown>): Promise<unknown>
}

export function questionsOf(turn: Turn): Questions {
  if (turn.line.ask !== undefined) return new OpenQuestions(turn)
  if (!mayAsk.has(turn.call.message.method)) return notHere
  return new RoundTrips(turn)
}

const notHere: Questions = {
  ask: () => Promise.reject(new Error('only a tool, a prompt or a resource can ask the client')),
  once: async (_key, work) => work(),
}

interface Task {
  readonly result: Promise<unknown>
  /** Settled when the task itself waits for a question. */
  readonly asking: PromiseWithResolvers<undefined>
  readonly outer: Task | undefined
}

/** The task that the code now running is part of. */
const current = new AsyncLocalStorage<Task>()

/** Work that is done once for each key: whoever comes second waits for the first. What failed may be tried again. */
class Work {
  private readonly tasks = new Map<string, Task>()

  once(key: string, work: () => Awaitable<unknown>): Promise<unknown> {
    const known = this.tasks.get(key)
    if (known !== undefined) return known.result
    const result = Promise.resolve().then(() => current.run(task, work))
    const task: Task = { result, asking: Promise.withResolvers(), outer: current.getStore() }
    this.tasks.set(key, task)
    result.catch(() => this.tasks.delete(key))
    return result
  }

  /** Notes that the code now running waits for a question. */
  ask(): void {
    for (let task = current.getStore(); task !== undefined; task = task.outer) task.asking.resolve(undefined)
  }

  /** Waits for what is under way, but for tasks that wait for a question themselves; answers what was done. */
  async settled(): Promise<ReadonlyMap<string, unknown>> {
    const done = new Map<string, unknown>()
    for (const [key, { result, asking }] of this.tasks) {
      const ended = result.then(
        (value) => ({ value }),
        () => undefined,
      )
      const outcome = await Promise.race([ended, asking.promise])
      if (outcome !== undefined) done.set(key, outcome.value ?? null)
    }
    return done
  }
}

/** Asks on the open stream and waits. */
class OpenQuestions implements Questions {
  private readonly work = new Work()
  private readonly turn: Turn

  constructor(turn: Turn) {
    this.turn = turn
  }

  ask(_key: string, method: string, params: Params): Promise<Params> {
    return this.turn.line.ask?.(method, params, this.turn.signal) ?? Promise.reject(new Fault('capability.missing'))
  }

  once(key: string, work: () => Awaitable<unknown>): Promise<unknown> {
    return this.work.once(key, work)
  }
}

interface State {
  readonly expiresAt: number
  readonly answers: Record<string, Params>
  readonly done: Record<string, unknown>
}

/** Thrown into a handler whose call ends because its question has gone to the client. It runs again with the answer. */
export const interrupted = new Fault('call.cancelled', { reason: 'question' })

/**
 * Asks by ending the call: the questions go out as the result, with what is known so far sealed in `requestState`; the
 * client sends the request again with the answers, and the handler runs from its start. The state opens only for the same
 * principal, method and parameters, for a quarter of an hour.
 */
class RoundTrips implements Questions {
  private readonly turn: Turn
  private readonly answers: Map<string, Params>
  private readonly done: Map<string, unknown>
  private readonly work = new Work()
  private readonly open = new Map<string, { method: string; params: Params }>()
  private scheduled = false

  constructor(turn: Turn) {
    this.turn = turn
    const { inputResponses, requestState } = turn.call.message.params
    const state = readState(turn, requestState)
    this.answers = new Map(Object.entries(state?.answers ?? {}))
    this.done = new Map(Object.entries(state?.done ?? {}))
    for (const [key, answer] of readResponses(inputResponses)) this.answers.set(key, answer)
  }

  ask(key: string, method: string, params: Params): Promise<Params> {
    const answer = this.answers.get(key)
    if (answer !== undefined) return Promise.resolve(answer)
    if (this.turn.done) return Promise.reject(interrupted)
    if (this.open.has(key)) return Promise.reject(new Error(`two questions of one call have the key ${key}`))
    this.open.set(key, { method, params })
    this.work.ask()
    const question = new Promise<never>((_resolve, reject) => {
      // Whatever else the handler asks before it waits travels with this question.
      if (!this.scheduled) {
        this.scheduled = true
        setImmediate(() => void this.sendQuestions())
      }
      this.rejections.push(reject)
    })
    question.catch(() => undefined)
    return question
  }

  async once(key: string, work: () => Awaitable<unknown>): Promise<unknown> {
    return this.done.has(key) ? this.done.get(key) : this.work.once(key, work)
  }

  private readonly rejections: ((reason: unknown) => void)[] = []

  private async sendQuestions(): Promise<void> {
    try {
      // What is under way happens once: the handler will run again, so its result has to travel too.
      const done = await this.work.settled()
      this.turn.complete(this.encodeQuestions(new Map([...this.done, ...done])), 'input_required')
      this.turn.abandon(interrupted)
      for (const reject of this.rejections) reject(interrupted)
    } catch (cause) {
      // A question or a result that JSON cannot say is the handler's failure.
      for (const reject of this.rejections) reject(cause)
    }
  }

  private encodeQuestions(done: ReadonlyMap<string, unknown>): string {
    const { services, call } = this.turn
    const state: State = {
      expiresAt: services.clock() + stateLifetimeMs,
      answers: Object.fromEntries(this.answers),
      done: Object.fromEntries(done),
    }
    const sealed = services.sealer.requestState.seal(JSON.stringify(state), boundTo(call))
    const meta = call.envelope.revision.result('').slice(1)
    return `{"inputRequests":${JSON.stringify(Object.fromEntries(this.open))},"requestState":${JSON.stringify(sealed)},${meta.replace('"resultType":"complete"', '"resultType":"input_required"')}`
  }
}

/** Looks at what a retry brings, before the handler runs: a state that does not open is refused, asked for or not. */
export function checkRetry(turn: Turn): void {
  const { inputResponses, requestState } = turn.call.message.params
  if (inputResponses !== undefined) readResponses(inputResponses)
  if (requestState !== undefined) readState(turn, requestState)
}

function readResponses(given: unknown): [string, Params][] {
  if (given === undefined) return []
  if (!isObject(given)) throw new Fault('params.invalid', { says: 'inputResponses is not an object' })
  return Object.entries(given).map(([key, answer]) => {
    if (!isObject(answer)) throw new Fault('input.invalid', { data: { key } })
    return [key, answer]
  })
}

function readState(turn: Turn, given: unknown): State | undefined {
  if (given === undefined) return undefined
  if (typeof given !== 'string') throw new Fault('state.invalid', { reason: 'type' })
  const plain = turn.services.sealer.requestState.open(given, boundTo(turn.call))
  if (plain === undefined) throw new Fault('state.invalid', { reason: 'seal' })
  const state = JSON.parse(plain) as State
  if (state.expiresAt <= turn.services.clock()) throw new Fault('state.invalid', { reason: 'expired' })
  return state
}

/** What a state belongs to: principal, tenant, method and the parameters without those that a retry adds. */
function boundTo({ principal, message }: Ready): string {
  const { _meta, inputResponses, requestState, ...rest } = message.params
  return ['request-state', principal.binding, message.method, hash('sha256', canonicalJson(rest), 'base64url')].join(
    '\n',
  )
}
