/**
 * The words every part of Merlon shares: who calls, what was asked, and how an answer leaves.
 * Nothing here does anything; this file imports no other.
 */

/** A moment, in milliseconds since the epoch. Time is always passed in. */
export type Instant = number

/** A value, or the promise of one. Guards and stores answer at once where they can; the runner awaits only promises. */
export type Awaitable<T> = T | Promise<T>

/** Reads the clock. */
export type Clock = () => Instant

/** A set of scopes in which `admin` stands for every scope. Build it with `scopeSet`, compare it with `holds`. */
export type ScopeSet = ReadonlySet<string>

/** Who acts, as proved by a credential. Built once when the credential is first seen; shared between calls; frozen. */
export interface Principal {
  /** The user, agent or external subject that acts. */
  readonly id: string
  readonly kind: 'user' | 'agent' | 'external'
  readonly tenant: string
  /** The public id of the credential that was shown (`key_…`, or the subject of an external one). Never the secret. */
  readonly credential: string
  readonly role: string
  /** What the role grants within the tenant: decides what is visible. */
  readonly granted: ScopeSet
  /** `granted` narrowed to the credential: decides what can be done. */
  readonly effective: ScopeSet
  /** When the credential ends. */
  readonly expiresAt: Instant
  /** Who says for a while at a time that the credential is good; absent where it says so itself until it ends. */
  readonly vouched?: Vouched | undefined
  /** What sessions, streams and sealed states are bound to: tenant, kind, id and credential, never token bytes. */
  readonly binding: string
}

/** Somebody else's word for a credential, which what goes on with it needs for as long as it goes on. */
export interface Vouched {
  /**
   * Why that must end now: the word was taken back, or ran out and could not be renewed. `undefined` while it stands. To ask
   * is what has it renewed in time.
   */
  over(): 'withdrawn' | 'unrenewed' | undefined
}

export type RequestId = string | number

/** One decoded JSON-RPC message. `params` is a plain JSON object that owns all its keys. */
export type Message =
  | { readonly kind: 'request'; readonly id: RequestId; readonly method: string; readonly params: Params }
  | { readonly kind: 'notification'; readonly method: string; readonly params: Params }
  | { readonly kind: 'response'; readonly id: RequestId; readonly result?: Params; readonly error?: ResponseError }

export type Params = Readonly<Record<string, unknown>>
export interface ResponseError {
  readonly code: number
  readonly message: string
  readonly data?: unknown
}

/** The trace that a call belongs to, as its caller says: for logs and for what a tool calls, never a ground for a decision. */
export interface Trace {
  /** 32 hexadecimal digits. */
  readonly traceId: string
  readonly traceparent: string
  readonly tracestate?: string
}

/** What the client says it is and can do. Self-reported: never a ground for a decision about rights. */
export interface Client {
  readonly name: string | undefined
  readonly version: string | undefined
  readonly capabilities: Params
}

/** The log levels of RFC 5424 §6.2.1, least severe first. */
export const logLevels = ['debug', 'info', 'notice', 'warning', 'error', 'critical', 'alert', 'emergency'] as const
export type LogLevel = (typeof logLevels)[number]

/** Something the catalog announces to clients that asked to be told. */
export type Change =
  | {
      readonly kind: 'tools' | 'prompts' | 'resources'
      /** Whom it concerns; absent: everybody. What a principal cannot see is no change to it. */
      readonly seenBy?: (principal: Principal) => boolean
    }
  | { readonly kind: 'resource'; readonly uri: string }

/** Secrets and randomness, so that a test can pass its own. */
export type RandomBytes = (size: number) => Buffer

/** The way back to the client of one HTTP request: one JSON answer, or a stream of events that ends with the answer. */
export interface Reply {
  /** Whether the client has left or the answer is complete: nothing can be sent any more. */
  readonly gone: boolean
  readonly streaming: boolean
  /** Adds a header to the answer. Has no effect once it has begun. */
  header(name: string, value: string): void
  /** Begins a stream. Does nothing where one has begun. */
  openStream(): void
  /** Sends one message on the stream, beginning it where needed. `id` names it for a later resume. */
  event(message: string, id?: string): void
  /** Sends an event without a message: only its id, and how long to wait before a resume. */
  prime(id: string, retryMs: number): void
  /** Ends with this message: as the last event of the stream, or as the JSON body with this status. */
  answer(message: string, status: number, id?: string): void
  /** Ends with a document of another media type. */
  document(text: string | AsyncIterable<string>, type: string, status: number): void
  /** Ends without a message: with this status (202) where nothing was streamed. */
  finish(status?: number): void
  /** The answer takes its time: the connection is kept although nothing passes over it. */
  bePatient(): void
  /** Calls back once when the client has left or the answer is complete. */
  onGone(listener: () => void): void
}
