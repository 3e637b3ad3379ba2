import type { Gate, Head } from '../guard/gate.ts'
import type { Rate } from '../guard/limit-calls.ts'
import { type Host, type LocalArrival, noHead } from '../guard/local.ts'

/** One line on its way through the guards. What they prove is assigned to it; declared here, so that all have one shape. */
export class LineCall implements LocalArrival {
  readonly gate: Gate
  readonly host: Host
  readonly head: Head = noHead
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

  constructor(gate: Gate, host: Host, body: Buffer) {
    this.gate = gate
    this.host = host
    this.body = body
  }
}
