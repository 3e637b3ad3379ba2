/** What a client of the control plane gives to an operation: the parts that its schemas ask for. */
export interface ControlInput {
  readonly params?: Readonly<Record<string, string>>
  readonly query?: Readonly<Record<string, string | number | boolean>>
  readonly body?: unknown
  /** The version that was seen, for an operation that changes one: If-Match. */
  readonly version?: number
  /** Names this attempt to make something, so that it is made once however often it is sent: Idempotency-Key. */
  readonly attempt?: string
  /**
   * Takes an answer that is not JSON piece by piece, as it comes: an export of the audit log has no bound. The body is then
   * undefined.
   */
  readonly take?: (piece: string) => Promise<void>
}

export interface ControlAnswer {
  readonly status: number
  /** The JSON of the answer; the text of an answer that is not JSON; undefined where there is none. */
  readonly body: unknown
}

/**
 * The control plane as its clients see it, whether it is in this process or behind a socket. The name of an operation is
 * the one in the table, as `users.create`.
 */
export interface Control {
  /** Rejects with a ControlRefusal where the operation is refused. */
  call(operation: string, input?: ControlInput): Promise<ControlAnswer>
  close(): Promise<void>
}

/** A refusal as every client sees it (RFC 9457). */
export interface Problem {
  readonly type: string
  readonly title: string
  readonly status: number
  readonly code: string
  readonly detail?: string
  /** Everything that is wrong with the request, at once. */
  readonly errors?: readonly FieldError[]
  /** For a failure of ours: to be given to the operator. */
  readonly requestId?: string
}

export interface FieldError {
  /** As `body.scopes[0]` or `query.limit`. */
  readonly path: string
  readonly says: string
  readonly expected?: string
}

export class ControlRefusal extends Error {
  readonly problem: Problem

  constructor(problem: Problem) {
    super(problem.detail === undefined ? problem.title : `${problem.title} ${problem.detail}`)
    this.name = 'ControlRefusal'
    this.problem = problem
  }
}
