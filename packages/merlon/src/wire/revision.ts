import type { Client, LogLevel, RequestId, Trace } from '../call.ts'
import { logLevels } from '../call.ts'
import type { Fault } from '../errors.ts'

/** How long a client may keep a result, and whether it may share it (2026-07-28, Caching). */
export interface CacheHint {
  readonly ttlMs: number
  readonly scope: 'public' | 'private'
}

/**
 * What differs between protocol revisions, in one object. It is chosen once, when a message is decoded; nothing later
 * asks which revision it is.
 */
export interface Revision {
  readonly version: string
  /** Whether calls belong to a session opened by `initialize`. */
  readonly stateful: boolean
  /** Whether a stream begins with an event that only carries an id (2025-11-25, SEP-1699). */
  readonly primesStreams: boolean
  /** Completes a result whose members are given as JSON text without the braces, possibly empty. */
  result(members: string, cache?: CacheHint): string
  /** The JSON-RPC code of a fault. */
  rpcCode(fault: Fault): number
  /** The HTTP status of a fault found after the message was decoded. */
  status(fault: Fault): number
}

/** What a request says about itself beside its parameters. */
export interface Envelope {
  readonly revision: Revision
  readonly client: Client
  readonly progressToken: RequestId | undefined
  /** The least severe log line that the client wants for this request; undefined: none. */
  readonly logLevel: LogLevel | undefined
  readonly trace: Trace | undefined
}

export function isLogLevel(value: unknown): value is LogLevel {
  return (logLevels as readonly unknown[]).includes(value)
}

const tokenLengthMax = 256

/**
 * The progress token of a request's `_meta`, where it is a short string or a safe integer. It is said again in every
 * progress report, so that a long one would make much of little; whoever sends one gets no reports.
 */
export function progressTokenOf(meta: Record<string, unknown> | undefined): RequestId | undefined {
  const token = meta?.['progressToken']
  if (typeof token === 'string') return token.length <= tokenLengthMax ? token : undefined
  return Number.isSafeInteger(token) ? (token as RequestId) : undefined
}
