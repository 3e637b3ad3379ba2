/** What is shown of one HTTP request when it has been answered. Every member is a word of ours, a number, an address or an id. */
export interface RequestLine {
  readonly requestId: string | undefined
  readonly verb: string
  /** The path of a route, never one that a client made up. */
  readonly route: string | undefined
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

/** Lines for callers who showed nothing that are written in one window. */
const strangersMax = 1_000
const windowMs = 60_000

/**
 * Writes one line for each HTTP request, or for those alone that failed. It is for whoever runs the server and looks for
 * what goes wrong; who did what is in the audit log, whole, and that is why the log of requests shows failures alone
 * unless it is asked for more: a second line for every call costs as much as the first and says less.
 *
 * Anybody can fail, so beyond a thousand a minute those who showed nothing are counted and not written (AL-07).
 */
export class RequestLog {
  private readonly log: Log
  private readonly steadyClock: () => number
  private windowEnds = Number.NEGATIVE_INFINITY
  private written = 0
  private left = 0

  constructor(log: Log, steadyClock: () => number) {
    this.log = log
    this.steadyClock = steadyClock
  }

  write(line: RequestLine, stranger: boolean): void {
    if (stranger && !this.hasRoom()) return
    const failed = line.status >= 400 || line.code !== undefined
    if (failed) this.log.warn(line, 'request')
    else this.log.info(line, 'request')
  }

  private hasRoom(): boolean {
    const now = this.steadyClock()
    if (now >= this.windowEnds) {
      if (this.left > 0) this.log.warn({ count: this.left }, 'requests of strangers that were not written')
      this.windowEnds = now + windowMs
      this.written = 0
      this.left = 0
    }
    if (this.written < strangersMax) {
      this.written++
      return true
    }
    this.left++
    return false
  }
}
