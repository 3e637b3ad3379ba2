import { fileURLToPath } from 'node:url'
import type { StandardSchemaV1 } from '@standard-schema/spec'
import type { Awaitable, Clock, Instant, LogLevel, Params, Trace } from '../call.ts'

/** Who is calling, as a tool may know it. The credential itself is never here. */
export interface CallPrincipal {
  readonly id: string
  readonly kind: 'user' | 'agent' | 'external'
  readonly tenant: string
  readonly role: string
  /** What this call may do: the credential's scopes within the role and tenant. */
  readonly scopes: readonly string[]
}

export type InputAction<T> = { action: 'accept'; content: T } | { action: 'decline' } | { action: 'cancel' }

/** A form for the user. `schema` is an object of strings, numbers, booleans and enums (MCP elicitation, form mode). */
export interface ElicitRequest<S extends StandardSchemaV1 = StandardSchemaV1> {
  readonly message: string
  readonly schema: S | JsonSchema
  /** Names the question across round trips; unique within one call. Default: its position, `elicitation-1`. */
  readonly key?: string
}

/** A page for the user to visit (MCP elicitation, URL mode). */
export interface ElicitUrlRequest {
  readonly message: string
  readonly url: string
  readonly key?: string
}

export interface SampleRequest {
  readonly messages: readonly { role: 'user' | 'assistant'; content: unknown }[]
  readonly maxTokens: number
  readonly systemPrompt?: string
  readonly temperature?: number
  readonly stopSequences?: readonly string[]
  readonly modelPreferences?: Params
  readonly key?: string
  /** Anything else that `sampling/createMessage` takes. */
  readonly [extra: string]: unknown
}

export interface SampleResult {
  readonly role: string
  readonly content: unknown
  readonly model: string
  readonly stopReason?: string
}

export interface Root {
  readonly uri: string
  readonly name?: string
}

/**
 * What a handler may use while it answers one call. It works the same on every protocol revision.
 *
 * Questions to the client (`elicit`, `elicitUrl`, `sample`, `roots`) are asked on the open stream in the stateful
 * revisions. In 2026-07-28 the call ends, the client answers, and **the handler runs again from its start** with the
 * answers it has; so ask first and act after, or wrap what must happen once in `once`. Questions asked together
 * (`Promise.all`) travel together.
 */
export interface CallContext {
  readonly requestId: string
  readonly principal: CallPrincipal
  readonly client: {
    readonly name: string | undefined
    readonly version: string | undefined
    readonly capabilities: Params
  }
  /**
   * The trace that the caller says this call belongs to (W3C Trace Context), if it is well-formed: to be passed on to what
   * the tool calls. Anybody can say anything here.
   */
  readonly trace: Trace | undefined
  /** Aborts when the client cancels or leaves, the credential is revoked, or time runs out. */
  readonly signal: AbortSignal
  /** The time, in milliseconds since the epoch. */
  readonly now: Clock
  /** When the call must have ended. */
  readonly deadline: Instant
  /** Reports progress, if the client asked for it. Must grow from call to call; a value that does not is dropped. */
  progress(progress: number, total?: number, message?: string): void
  /** Sends a log line to the client, if it asked for that level. Never put a secret in `data`. */
  log(level: LogLevel, data: unknown, logger?: string): void
  /** Whether the client declared the capability. */
  can(capability: 'elicitation' | 'sampling' | 'roots'): boolean
  elicit<S extends StandardSchemaV1>(request: ElicitRequest<S>): Promise<InputAction<StandardSchemaV1.InferOutput<S>>>
  elicitUrl(request: ElicitUrlRequest): Promise<{ action: 'accept' | 'decline' | 'cancel' }>
  sample(request: SampleRequest): Promise<SampleResult>
  roots(key?: string): Promise<readonly Root[]>
  /** Runs `work` once in this call, even if questions make the handler run again; its JSON result travels sealed with the client. */
  once<T>(key: string, work: () => Awaitable<T>): Promise<T>
  /** Closes the present response stream and asks the client to resume it after `retryMs`. Does nothing where streams cannot be resumed. */
  releaseStream(retryMs?: number): void
  /**
   * Tells clients that asked to be told, at whichever server on the same database they are, once each. Nobody waits for it, and
   * equal changes that have not been sent yet are told as one. Several servers hear of it for a minute after the store was
   * out of reach, and not beyond that.
   */
  readonly notify: {
    toolsChanged(): void
    promptsChanged(): void
    resourcesChanged(): void
    resourceUpdated(uri: string): void
  }
}

export type JsonSchema = { readonly [key: string]: unknown }
/** A schema for input or output: any Standard Schema that can also say itself as JSON Schema (zod ≥ 4.2, ArkType, Valibot …), or a JSON Schema. */
export type SchemaLike = StandardSchemaV1 | JsonSchema
export type InferOutput<S> = S extends StandardSchemaV1 ? StandardSchemaV1.InferOutput<S> : Record<string, unknown>

export interface Icon {
  readonly src: string
  readonly mimeType?: string
  readonly sizes?: readonly string[]
  readonly theme?: 'light' | 'dark'
}

export interface ToolAnnotations {
  readonly title?: string
  readonly readOnlyHint?: boolean
  readonly destructiveHint?: boolean
  readonly idempotentHint?: boolean
  readonly openWorldHint?: boolean
}

interface Described {
  readonly title?: string
  readonly description?: string
  readonly icons?: readonly Icon[]
  readonly _meta?: Params
}

/** What `defineTool` takes: a tool, what it asks for, and what it does. */
export interface ToolDefinition<I extends SchemaLike = SchemaLike, O extends SchemaLike = SchemaLike>
  extends Described {
  /** 1 to 128 of `A-Z a-z 0-9 _ - .`. */
  readonly name: string
  readonly description: string
  readonly input: I
  /** Declares the result's structure: the result is checked and sent as `structuredContent` too. */
  readonly output?: O
  /** What a caller needs. Default `write`. */
  readonly scope?: string
  readonly annotations?: ToolAnnotations
  /** Longest time for one call. Default `limits.callTimeoutMs`. */
  readonly timeoutMs?: number
  /** How many calls one call counts as, wherever calls are limited. Default 1. */
  readonly cost?: number
  /** How many calls of it may be under way at once. Default `limits.callsPerToolMax`. */
  readonly concurrency?: number
  /**
   * Returns a string (text), any JSON value (sent as JSON text, and as `structuredContent` where `output` is declared), or
   * what `content` builds. Throw a `ToolError` to tell the caller what went wrong; anything else thrown reads as an internal error.
   */
  run(input: InferOutput<I>, ctx: CallContext): unknown
}

/** What a resource handler may return: text, bytes, or the full contents list of the protocol. */
export type ResourceBody = string | Uint8Array | { readonly contents: readonly Params[] }

/** What `defineResource` takes for one thing at one address. */
export interface ResourceDefinition extends Described {
  readonly name: string
  /** A fixed URI, `config://app`. */
  readonly uri: string
  readonly mimeType?: string
  readonly size?: number
  readonly annotations?: Params
  /** What a caller needs. Default `read`. */
  readonly scope?: string
  /** How long a client may keep it, in ms. Default 0. Always `private`. */
  readonly ttlMs?: number
  read(uri: string, ctx: CallContext): Awaitable<ResourceBody>
}

/** Suggests values for an argument that begins with `value`; at most 100 are sent. */
export type Complete = (
  value: string,
  context: { readonly arguments: Readonly<Record<string, string>> },
  ctx: CallContext,
) => Awaitable<readonly string[]>

/** What `defineResource` takes for many things at the addresses of one pattern. */
export interface ResourceTemplateDefinition extends Described {
  readonly name: string
  /** RFC 6570 level 1 (`{id}`) and reserved (`{+path}`) expressions: `note://{id}`. Matched in linear time. */
  readonly uriTemplate: string
  readonly mimeType?: string
  readonly annotations?: Params
  readonly scope?: string
  readonly ttlMs?: number
  /** The resources that exist now, for resources/list. */
  readonly list?: (
    ctx: CallContext,
  ) => Awaitable<readonly { uri: string; name: string; title?: string; description?: string; mimeType?: string }[]>
  readonly complete?: Readonly<Record<string, Complete>>
  /** Returns `undefined` where there is no such resource. */
  read(uri: string, variables: Readonly<Record<string, string>>, ctx: CallContext): Awaitable<ResourceBody | undefined>
}

export interface PromptArgument {
  readonly name: string
  readonly title?: string
  readonly description?: string
  readonly required?: boolean
  readonly complete?: Complete
}

/** One message of a prompt, as the protocol has it. */
export type PromptMessage = { readonly role: 'user' | 'assistant'; readonly content: Params }

/** What `definePrompt` takes: a prompt, its arguments, and the messages it becomes. */
export interface PromptDefinition extends Described {
  readonly name: string
  readonly arguments?: readonly PromptArgument[]
  readonly scope?: string
  /** Returns a string (one user message), messages, or `{ description, messages }`. */
  get(
    args: Readonly<Record<string, string>>,
    ctx: CallContext,
  ): Awaitable<
    string | readonly PromptMessage[] | { readonly description?: string; readonly messages: readonly PromptMessage[] }
  >
}

/** A definition, marked with its kind so that a file's default export cannot be mistaken for something else. */
export const definition: unique symbol = Symbol.for('merlon.definition')

export type Definition =
  | (ToolDefinition & { readonly [definition]: 'tool' })
  | (ResourceDefinition & { readonly [definition]: 'resource' })
  | (ResourceTemplateDefinition & { readonly [definition]: 'template' })
  | (PromptDefinition & { readonly [definition]: 'prompt' })

/** Where a definition was made, for errors that name the line. */
export interface Origin {
  readonly file: string
  readonly line: number
  readonly column: number
}

// Not in a WeakMap: a project may load another copy of this module than the server does.
const origin: unique symbol = Symbol.for('merlon.origin')

/** Where `define…` was called, if that is known. */
export function originOf(definition: object): Origin | undefined {
  return (definition as { readonly [origin]?: Origin })[origin]
}

/** Declares a tool. The types of `run`'s input flow from `input`. */
export function defineTool<I extends SchemaLike, O extends SchemaLike = SchemaLike>(
  tool: ToolDefinition<I, O>,
): ToolDefinition<I, O> {
  return mark(tool, 'tool')
}

/** Declares a resource at a fixed `uri`, or a family of resources at a `uriTemplate`. */
export function defineResource(resource: ResourceDefinition): ResourceDefinition
export function defineResource(resource: ResourceTemplateDefinition): ResourceTemplateDefinition
export function defineResource(
  resource: ResourceDefinition | ResourceTemplateDefinition,
): ResourceDefinition | ResourceTemplateDefinition {
  return mark(resource, 'uriTemplate' in resource ? 'template' : 'resource')
}

/** Declares a prompt. */
export function definePrompt(prompt: PromptDefinition): PromptDefinition {
  return mark(prompt, 'prompt')
}

function mark<T extends object>(given: T, kind: Definition[typeof definition]): T {
  const marked = { ...given, [definition]: kind }
  Object.defineProperty(marked, origin, { value: findOrigin() })
  return Object.freeze(marked)
}

/** The place that called `define…`: below this function, `mark` and `define…` itself. */
function findOrigin(): Origin | undefined {
  const frame = new Error().stack?.split('\n')[4]
  const place = /(?:\(|at (?:async )?)((?:file:|\/|[A-Za-z]:\\).*?)(?:\?[^:]*)?:([0-9]+):([0-9]+)\)?$/.exec(frame ?? '')
  if (place === null) return undefined
  const [, url = '', line, column] = place
  const file = url.startsWith('file:') ? fileURLToPath(url) : url
  return Object.freeze({ file, line: Number(line), column: Number(column) })
}

const toolErrorBrand = Symbol.for('merlon.tool-error')

/** Thrown by a handler to tell the caller, in words meant for it, that the tool failed. Becomes a result with `isError: true`. */
export class ToolError extends Error {
  override readonly name = 'ToolError'
  readonly [toolErrorBrand] = true
}

/** Whether an author threw it as a `ToolError`, of this or another copy of the library. */
export function isToolError(thrown: unknown): thrown is ToolError {
  return thrown instanceof Error && toolErrorBrand in thrown
}
