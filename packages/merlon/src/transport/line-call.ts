import type { Gate, Head } from '../guard/gate.ts'
import type { Rate } from '../guard/limit-calls.ts'
import type { Host, LocalArrival } from '../guard/local.ts'

/** One message on its way through the guards. What they prove is assigned to it; declared here, so that all have one shape. */
export class LineCall<H extends Host = Host> implements LocalArrival {
  readonly gate: Gate
  readonly host: H
  readonly head: Head
  body: Buffer
  requestId: string | undefined = undefined
  startedAt: number | undefined = undefined
  address: string | undefined = undefined
  principal: unknown = undefined
  message: unknown = undefined
  envelope: unknown = undefined
  session: unknown = undefined
  method: unknown = undefined
  target: unknown = undefined
  input: unknown = undefined
  /** What it was refused with, or ended with. */
  fault: unknown = undefined
  endpoint: unknown = undefined
  rate: Rate | undefined = undefined
  reserved: unknown = undefined

  constructor(gate: Gate, host: H, body: Buffer) {
    this.gate = gate
    this.host = host
    this.head = host.head
    this.body = body
  }
}
