import * as z from 'zod'
import type { Awaitable, Instant, Principal } from '../call.ts'
import type { ErrorCode } from '../errors.ts'
import type { Actor } from '../identity/actor.ts'
import type { Requirement } from '../policy/decide.ts'
import type { ControlParts } from './parts.ts'

/** What it takes to ask. `open` asks for no credential: the operation checks one itself. */
export type Access = Requirement | 'open'

/* What nearly all take. */
export const read = { scope: 'read' } as const
export const write = { scope: 'write' } as const
export const admin = { scope: 'admin' } as const

/** One request as an operation sees it: checked, and with nothing in it that its schemas do not name. */
export interface Input<Params, Query, Body> {
  readonly params: Params
  readonly query: Query
  readonly body: Body
  /** The version that the caller has seen, for an operation that is `versioned`. */
  readonly version: number
}

/** Who asks, when and from where. */
export interface ControlContext {
  readonly principal: Principal
  readonly actor: Actor
  readonly parts: ControlParts
  readonly now: Instant
  readonly requestId: string
  readonly address: string
  /** The credential itself, for what renews or ends it. Undefined for the local operator. Never put in an answer or a record. */
  readonly credential: string | undefined
}

/** An answer that is not JSON, or that comes in pieces. */
export interface Document {
  readonly text: string | AsyncIterable<string>
  readonly type: string
}

export type Method = 'GET' | 'POST' | 'PATCH' | 'DELETE'

interface Parts {
  readonly params: z.ZodType
  readonly query: z.ZodType
  readonly body: z.ZodType | undefined
  readonly answer: z.ZodType | undefined
}

/**
 * One thing that the control plane does. The HTTP API, the OpenAPI document, the page and the command line are made from
 * the table of these; there is no other way in.
 */
export interface Operation extends Parts {
  /** As `users.create`. */
  readonly name: string
  readonly method: Method
  /** As `/api/users/{id}`. A part in braces is one segment, and stands in `params`. */
  readonly path: string
  readonly summary: string
  readonly access: Access
  /** `installation`: for those alone who reach every tenant. */
  readonly reach: 'tenant' | 'installation'
  /** The status of the answer where all went well. */
  readonly status: 200 | 201 | 204
  /** The media type of an answer that is a `Document`. */
  readonly media: string | undefined
  /** Whether the caller must say with If-Match which version it changes. */
  readonly versioned: boolean
  /** Whether it makes something new, so that a caller may name its attempt with Idempotency-Key. */
  readonly creates: boolean
  /** Whether, by its body, a sign-in of a user with a second factor must have been confirmed with it lately. Undefined: never. */
  readonly confirmed: ((body: never) => boolean) | undefined
  /** What it refuses beside what any operation may. */
  readonly refuses: readonly ErrorCode[]
  readonly bodyBytesMax: number
  /** Whether it is answered even while nothing can be recorded or the server cannot keep up. It changes nothing, and tells why. */
  readonly always: boolean
  readonly run: (context: ControlContext, input: Input<never, never, never>) => Awaitable<unknown>
}

/** What an operation says of itself; the rest follows. */
export interface OperationSpec<
  Params extends z.ZodType,
  Query extends z.ZodType,
  Body extends z.ZodType,
  Answer extends z.ZodType,
> {
  readonly name: string
  readonly method: Method
  readonly path: string
  readonly summary: string
  readonly access: Access
  readonly reach?: 'tenant' | 'installation'
  readonly status?: 200 | 201 | 204
  readonly media?: string
  readonly versioned?: boolean
  readonly creates?: boolean
  /** Where it depends on what is asked, a rule over the body. */
  readonly confirmed?: true | ((body: z.output<Body>) => boolean)
  readonly refuses?: readonly ErrorCode[]
  readonly bodyBytesMax?: number
  readonly always?: boolean
  readonly params?: Params
  readonly query?: Query
  readonly body?: Body
  readonly answer?: Answer
  readonly run: (
    context: ControlContext,
    input: Input<z.output<Params>, z.output<Query>, z.output<Body>>,
  ) => Awaitable<Answered<NoInfer<z.input<Answer>>> | Document>
}

/** Where there is nothing to answer there need be no `return`. */
// biome-ignore lint/suspicious/noConfusingVoidType: what a function without `return` answers
type Answered<Value> = undefined extends Value ? void : Value

const nothing = z.strictObject({})
type Nothing = typeof nothing

const bodyBytesMax = 65_536

/** What may stand in the place of a part in braces. It is never decoded: what needs escaping is no id. */
export const segmentPattern = /^[A-Za-z0-9._~@:-]{1,128}$/

export function operation<
  Params extends z.ZodType = Nothing,
  Query extends z.ZodType = Nothing,
  Body extends z.ZodType = z.ZodUndefined,
  Answer extends z.ZodType = z.ZodUndefined,
>(spec: OperationSpec<Params, Query, Body, Answer>): Operation {
  return {
    name: spec.name,
    method: spec.method,
    path: spec.path,
    summary: spec.summary,
    access: spec.access,
    reach: spec.reach ?? 'tenant',
    status: spec.status ?? (spec.answer === undefined && spec.media === undefined ? 204 : 200),
    media: spec.media,
    versioned: spec.versioned ?? false,
    creates: spec.creates ?? false,
    confirmed: spec.confirmed === true ? () => true : (spec.confirmed as Operation['confirmed']),
    refuses: spec.refuses ?? [],
    bodyBytesMax: spec.bodyBytesMax ?? bodyBytesMax,
    always: spec.always ?? false,
    params: spec.params ?? nothing,
    query: spec.query ?? nothing,
    body: spec.body,
    answer: spec.answer,
    run: spec.run as Operation['run'],
  }
}
