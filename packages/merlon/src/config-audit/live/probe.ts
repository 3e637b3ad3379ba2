import type { Told } from '../rule.ts'
import type { Answer, Exchange, RequestGiven } from './exchange.ts'

/** What a probe can do: send requests that change nothing, and see what came. */
export interface Outside {
  readonly url: URL
  readonly tls: boolean
  /** A key that the operator gave for this; probes that need one are passed over without it. */
  readonly key: string | undefined
  now(): number
  send(given: RequestGiven): Promise<Exchange>
  /** Sends the bytes as they are. */
  raw(bytes: string): Promise<Exchange>
  /** The answer to a call that shows this as its Bearer token; asked for once, for each wrong one may be counted. */
  shows(credential: string): Promise<Exchange>
  /** The answer to a plain request without a credential; asked for once. */
  bare(): Promise<Exchange>
  /** Sends in clear to the port, whatever it speaks. */
  plain(given: RequestGiven): Promise<Exchange>
  /** Whether a handshake of this version is taken. */
  speaks(version: 'TLSv1' | 'TLSv1.1' | 'TLSv1.2' | 'TLSv1.3'): Promise<boolean>
  /** What is wrong with the certificate for a client that trusts the authorities of this machine, if anything. */
  certificateProblem(): Promise<string | undefined>
}

/** What was wanted and what came; undefined where the probe does not fit this server. */
export type Outcome = { readonly expected: string; readonly got: string; readonly ok: boolean } | undefined

export interface Probe extends Told {
  run(outside: Outside): Promise<Outcome>
}

/** A message that would list the tools, were it let in: it changes nothing. */
export const listTools = '{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{}}'

export const json: readonly (readonly [string, string])[] = [
  ['Content-Type', 'application/json'],
  ['Accept', 'application/json, text/event-stream'],
  ['MCP-Protocol-Version', '2025-11-25'],
]

export function isAnswer(exchange: Exchange): exchange is Answer {
  return typeof exchange !== 'string'
}

/** What came, in a word: its status, or how the connection ended. */
export function seen(exchange: Exchange): string {
  if (isAnswer(exchange)) return String(exchange.status)
  return exchange === 'closed'
    ? 'the connection was closed'
    : exchange === 'timeout'
      ? 'nothing in time'
      : 'no connection'
}

/**
 * Wants one of these statuses; a closed connection will do where `orClosed`. Where a refusal is wanted 429 is one too: the
 * server counts what we send.
 */
export function status(exchange: Exchange, wanted: readonly number[], orClosed = false): NonNullable<Outcome> {
  const expected = `${wanted.join(' or ')}${orClosed ? ', or the connection closed' : ''}`
  const refusal = wanted.every((each) => each >= 400)
  const fits = ({ status: got }: Answer): boolean => wanted.includes(got) || (refusal && got === 429)
  const ok = isAnswer(exchange) ? fits(exchange) : orClosed && exchange === 'closed'
  return { expected, got: seen(exchange), ok }
}

export function header(exchange: Exchange, name: string): string | undefined {
  return isAnswer(exchange) ? exchange.headers.get(name)?.join(', ') : undefined
}

/** Wants what `holds` says of an answer; no answer is a failure. */
export function wants(expected: string, exchange: Exchange, got: string, ok: boolean): NonNullable<Outcome> {
  return isAnswer(exchange) ? { expected, got, ok } : { expected, got: seen(exchange), ok: false }
}
