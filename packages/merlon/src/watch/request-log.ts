/** What is shown of one HTTP request when it has been answered. Every member is a word of ours, a number, an address or an id. */
export interface RequestLine {
  readonly requestId: string | undefined
  readonly verb: string
  /** The path of a route, never one that a client made up. */
  readonly route: string
  readonly status: number
  /** A protocol method or an operation that we know. */
  readonly method: string | undefined
  /** A tool, a prompt or a template of ours. */
  readonly target: string | undefined
  readonly code: string | undefined
  readonly durationMs: number | undefined
  /** Of the answer; absent for a stream. */
  readonly bytes: number | undefined
  readonly address: string | undefined
  /** The public id of the credential. */
  readonly credential: string | undefined
  readonly traceId: string | undefined
}

export type RequestLogMode = 'none' | 'failures' | 'all'

interface Log {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
}

/**
 * Writes one line for each HTTP request, or for those alone that failed. It is for whoever runs the server and looks for
 * what goes wrong; who did what is in the audit log, whole, and that is why the log of requests shows failures alone
 * unless it is asked for more: a second line for every call costs as much as the first and says less.
 */
export function logRequest(log: Log, line: RequestLine): void {
  const failed = line.status >= 400 || line.code !== undefined
  if (failed) log.warn(line, 'request')
  else log.info(line, 'request')
}
