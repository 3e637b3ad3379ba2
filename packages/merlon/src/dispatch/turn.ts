import type { Vouched } from '../call.ts'
import type { Fault } from '../errors.ts'
import type { Target } from '../method.ts'
import type { Outcome } from '../watch/metrics.ts'
import type { Line } from './line.ts'
import type { Ready } from './ready.ts'
import type { Running } from './running.ts'
import type { Services } from './services.ts'

/**
 * One request being answered. It ends once: with a result, with a fault, or without a word when the caller cancelled;
 * whatever comes after is ignored.
 */
export class Turn implements Running {
  readonly services: Services
  readonly call: Ready
  readonly line: Line
  deadline: number
  private over = false
  private lastResult: (() => string) | undefined = undefined
  private overListener: (() => void) | undefined = undefined
  private controller: AbortController | undefined = undefined
  private readonly onOver: (turn: Turn, fault: Fault | undefined, outcome: Outcome) => void

  constructor(
    services: Services,
    call: Ready,
    line: Line,
    onOver: (turn: Turn, fault: Fault | undefined, outcome: Outcome) => void,
  ) {
    this.services = services
    this.call = call
    this.line = line
    this.deadline = call.startedAt + services.callTimeoutMs
    this.onOver = onOver
  }

  get done(): boolean {
    return this.over
  }

  get credential(): string {
    return this.call.principal.credential
  }

  get binding(): string {
    return this.call.principal.binding
  }

  get tenant(): string {
    return this.call.principal.tenant
  }

  get tool(): Target | undefined {
    return this.call.message.method === 'tools/call' ? this.call.target : undefined
  }

  get credentialEndsAt(): number {
    return this.call.principal.expiresAt
  }

  get vouched(): Vouched | undefined {
    return this.call.principal.vouched
  }

  get startedAt(): number {
    return this.call.startedAt
  }

  bePatient(): void {
    this.line.bePatient()
  }

  letGo(): void {
    this.line.letGo()
  }

  /** Made only when a handler asks for it. */
  get signal(): AbortSignal {
    if (this.controller === undefined) {
      this.controller = new AbortController()
      if (this.over) this.controller.abort()
    }
    return this.controller.signal
  }

  /** Ends with a result: the JSON text of it. */
  complete(result: string, outcome: Outcome = 'completed'): void {
    if (this.over) return
    this.end(undefined, outcome)
    this.line.result(this.call.message.id, result)
  }

  /** Ends with an error. */
  fail(fault: Fault): void {
    if (this.over) return
    this.end(fault, 'failed')
    this.controller?.abort(fault)
    this.line.error(this.call.message.id, fault)
  }

  /** Ends without an answer: the caller has cancelled, or has left. */
  cancel(fault: Fault): void {
    if (this.over) return
    this.end(fault, 'cancelled')
    this.controller?.abort(fault)
    this.line.silence()
  }

  /** Aborts what a handler still does after the turn ended by itself, as when a question was sent in its place. */
  abandon(reason: Fault): void {
    this.controller?.abort(reason)
  }

  /**
   * Keeps the answer open as a stream: no deadline, and a last message of its own where the server ends it. Of what was
   * asked only the id and the method are kept: a stream stays for hours, and a message may take megabytes of memory.
   */
  hold(lastResult: () => string): void {
    const { kind, id, method } = this.call.message
    const { client } = this.call.envelope
    Object.assign(this.call, {
      message: { kind, id, method, params: {} },
      envelope: { ...this.call.envelope, client: { ...client, capabilities: {} } },
    })
    this.deadline = Number.POSITIVE_INFINITY
    this.lastResult = lastResult
    this.services.running.addStream(this, this.services.streamsPerPrincipalMax)
  }

  /** Calls back when the turn is over. */
  onceOver(listener: () => void): void {
    this.overListener = listener
  }

  withdraw(fault: Fault): void {
    if (this.lastResult !== undefined && fault.code === 'server.draining') this.complete(this.lastResult())
    else this.fail(fault)
  }

  private end(fault: Fault | undefined, outcome: Outcome): void {
    this.over = true
    this.onOver(this, fault, outcome)
    this.overListener?.()
  }
}
