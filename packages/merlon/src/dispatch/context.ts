import type { StandardSchemaV1 } from '@standard-schema/spec'
import { type Awaitable, type Clock, type LogLevel, logLevels, type Params, type Trace } from '../call.ts'
import type {
  CallContext,
  CallPrincipal,
  ElicitRequest,
  ElicitUrlRequest,
  InputAction,
  JsonSchema,
  Root,
  SampleRequest,
  SampleResult,
} from '../catalog/define.ts'
import { type CompiledSchema, compileSchema } from '../catalog/schema.ts'
import { Fault } from '../errors.ts'
import { isObject } from '../wire/json.ts'
import { encodeNotification } from '../wire/json-rpc.ts'
import { type Questions, questionsOf } from './questions.ts'
import type { Turn } from './turn.ts'

const defaultRetryMs = 1_000

/** What a handler sees of its call. Parts that cost something are made when they are first used. */
export class Context implements CallContext {
  private readonly turn: Turn
  private asked: Questions | undefined
  private questions = 0
  private lastProgress = Number.NEGATIVE_INFINITY

  constructor(turn: Turn) {
    this.turn = turn
  }

  get requestId(): string {
    return this.turn.call.requestId
  }

  get principal(): CallPrincipal {
    const { id, kind, tenant, role, effective } = this.turn.call.principal
    return { id, kind, tenant, role, scopes: [...effective] }
  }

  get client() {
    return this.turn.call.envelope.client
  }

  get trace(): Trace | undefined {
    return this.turn.call.envelope.trace
  }

  get signal(): AbortSignal {
    return this.turn.signal
  }

  get now(): Clock {
    return this.turn.services.clock
  }

  get deadline(): number {
    return this.turn.deadline
  }

  progress(progress: number, total?: number, message?: string): void {
    const { progressToken } = this.turn.call.envelope
    if (progressToken === undefined || this.turn.done || !Number.isFinite(progress) || progress <= this.lastProgress)
      return
    this.lastProgress = progress
    this.turn.line.notify(
      encodeNotification('notifications/progress', {
        progressToken,
        progress,
        ...(total === undefined || !Number.isFinite(total) ? {} : { total }),
        ...(message === undefined ? {} : { message }),
      }),
    )
  }

  log(level: LogLevel, data: unknown, logger?: string): void {
    const least = this.turn.call.envelope.logLevel
    if (least === undefined || this.turn.done || logLevels.indexOf(level) < logLevels.indexOf(least)) return
    this.turn.line.notify(
      encodeNotification('notifications/message', { level, data, ...(logger === undefined ? {} : { logger }) }),
    )
  }

  can(capability: 'elicitation' | 'sampling' | 'roots'): boolean {
    return isObject(this.client.capabilities[capability])
  }

  elicit<S extends StandardSchemaV1>(request: ElicitRequest<S>): Promise<InputAction<StandardSchemaV1.InferOutput<S>>> {
    return noticed(this.elicitForm(request))
  }

  elicitUrl(request: ElicitUrlRequest): Promise<{ action: 'accept' | 'decline' | 'cancel' }> {
    return noticed(this.sendToUrl(request))
  }

  sample(request: SampleRequest): Promise<SampleResult> {
    return noticed(this.sampleMessage(request))
  }

  roots(key?: string): Promise<readonly Root[]> {
    return noticed(this.listRoots(key))
  }

  once<T>(key: string, work: () => Awaitable<T>): Promise<T> {
    return noticed(this.questionsOf().once(key, work) as Promise<T>)
  }

  private async elicitForm<S extends StandardSchemaV1>(
    request: ElicitRequest<S>,
  ): Promise<InputAction<StandardSchemaV1.InferOutput<S>>> {
    const key = request.key ?? this.nextKey('elicitation')
    this.need('elicitation')
    const schema = compiledForm(request.schema)
    const answer = await this.ask(key, 'elicitation/create', {
      mode: 'form',
      message: request.message,
      requestedSchema: schema.jsonSchema,
    })
    const action = actionOf(answer, key)
    if (action !== 'accept') return { action }
    const checked = await schema.check(answer['content'] ?? {})
    if (!checked.ok) throw new Fault('input.invalid', { says: checked.issues.join('; '), data: { key } })
    return { action, content: checked.value as StandardSchemaV1.InferOutput<S> }
  }

  private async sendToUrl(request: ElicitUrlRequest): Promise<{ action: 'accept' | 'decline' | 'cancel' }> {
    const key = request.key ?? this.nextKey('elicitation')
    const modes = this.client.capabilities['elicitation']
    if (!isObject(modes) || !isObject(modes['url'])) throw lacking({ elicitation: { url: {} } })
    const answer = await this.ask(key, 'elicitation/create', {
      mode: 'url',
      message: request.message,
      url: request.url,
      elicitationId: `${this.requestId}-${key}`,
    })
    return { action: actionOf(answer, key) }
  }

  private async sampleMessage(request: SampleRequest): Promise<SampleResult> {
    const { key = this.nextKey('sampling'), ...params } = request
    this.need('sampling')
    const answer = await this.ask(key, 'sampling/createMessage', params)
    if (typeof answer['role'] !== 'string' || answer['content'] === undefined || typeof answer['model'] !== 'string') {
      throw new Fault('input.invalid', { data: { key } })
    }
    return answer as unknown as SampleResult
  }

  private async listRoots(key = this.nextKey('roots')): Promise<readonly Root[]> {
    this.need('roots')
    const answer = await this.ask(key, 'roots/list', {})
    const { roots } = answer
    if (!Array.isArray(roots) || !roots.every((root) => isObject(root) && typeof root['uri'] === 'string')) {
      throw new Fault('input.invalid', { data: { key } })
    }
    return roots
  }

  releaseStream(retryMs = defaultRetryMs): void {
    if (!this.turn.done) this.turn.line.release(retryMs)
  }

  get notify(): CallContext['notify'] {
    const { changes } = this.turn.services
    return {
      toolsChanged: () => changes.publish({ kind: 'tools' }),
      promptsChanged: () => changes.publish({ kind: 'prompts' }),
      resourcesChanged: () => changes.publish({ kind: 'resources' }),
      resourceUpdated: (uri) => changes.publish({ kind: 'resource', uri }),
    }
  }

  private ask(key: string, method: string, params: Params): Promise<Params> {
    return this.questionsOf().ask(key, method, params)
  }

  private questionsOf(): Questions {
    this.asked ??= questionsOf(this.turn)
    return this.asked
  }

  private nextKey(kind: string): string {
    return `${kind}-${++this.questions}`
  }

  private need(capability: 'elicitation' | 'sampling' | 'roots'): void {
    if (!this.can(capability)) throw lacking({ [capability]: {} })
  }
}

/** A handler that does not wait for an answer does not notice that it fails: that may not end the process. */
function noticed<T>(answer: Promise<T>): Promise<T> {
  answer.catch(() => undefined)
  return answer
}

function lacking(requiredCapabilities: Params): Fault {
  return new Fault('capability.missing', { data: { requiredCapabilities } })
}

function actionOf(answer: Params, key: string): 'accept' | 'decline' | 'cancel' {
  const { action } = answer
  if (action === 'accept' || action === 'decline' || action === 'cancel') return action
  throw new Fault('input.invalid', { data: { key } })
}

const compiledForms = new WeakMap<object, CompiledSchema>()

/** A form's schema is compiled once, however often it is asked. */
function compiledForm(schema: StandardSchemaV1 | JsonSchema): CompiledSchema {
  let compiled = compiledForms.get(schema)
  if (compiled === undefined) {
    compiled = compileSchema(schema, 'input')
    compiledForms.set(schema, compiled)
  }
  return compiled
}
