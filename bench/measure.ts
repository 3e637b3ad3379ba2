import { randomBytes } from 'node:crypto'
import type { Generator } from './generator.ts'
import { Counter } from './instructions.ts'
import type { CallsResult } from './load.ts'
import type { Sample } from './probe.ts'
import type { Target } from './requests.ts'
import type { Row } from './rows.ts'
import type { ServerProcess } from './server-process.ts'

/** A row whose server runs. */
export interface Running {
  readonly row: Row
  readonly server: ServerProcess
  readonly target: Target
}

export interface Round {
  readonly cpuMicrosPerCall: number
  /** Undefined where the machine does not count them. */
  readonly instructionsPerCall: number | undefined
  readonly callsPerSecond: number
  readonly p50Micros: number
  readonly p99Micros: number
  /** Share of the time in which the server used its core; well below 1, the load generator was the bottleneck. */
  readonly serverBusy: number
  /** The same of the load generator and its core. */
  readonly generatorBusy: number
  readonly calls: number
  readonly errors: number
  readonly firstError: string | undefined
}

export interface Held {
  readonly what: 'sessions' | 'streams'
  readonly count: number
  readonly heapBytesEach: number
  readonly residentBytesEach: number
}

/** Throws unless the server echoes a text it cannot have seen, in the expected form, and refuses whoever has no key. */
export async function verify({ row, target }: Running, generator: Generator): Promise<void> {
  const text = randomBytes(24).toString('base64url')
  const answer = await generator.ask(target, text)
  const shown = `${answer.status} ${answer.type} ${answer.body.slice(0, 300)}`
  if (answer.status !== 200 || !answer.body.includes(text)) throw new Error(`does not echo: ${shown}`)
  if (!answer.type.startsWith(row.type)) throw new Error(`does not answer with ${row.type}: ${shown}`)
  if (target.progress && !answer.body.includes('notifications/progress')) throw new Error(`no progress: ${shown}`)
  if (target.key === undefined) return
  const { key, ...keyless } = target
  const wrong = { ...target, key: `${key.slice(0, -1)}${key.endsWith('x') ? 'y' : 'x'}` }
  for (const refused of [keyless, wrong]) {
    // Without sessions, so that it is the call that is refused and not only `initialize`.
    const { status } = await generator.ask({ ...refused, session: false }, text)
    if (status !== 401) throw new Error(`answers ${status} to a caller without a valid key`)
  }
}

/** One round: CPU and, where the machine counts them, instructions of the same calls. */
export async function measureRound(
  { server, target }: Running,
  generator: Generator,
  options: { connections: number; durationMs: number; event: string | undefined },
): Promise<Round> {
  let before: Sample | undefined
  let after: Sample | undefined
  let counter: Counter | undefined
  let instructions: number | undefined
  const { connections, durationMs, event } = options
  const result = await generator.calls(
    { target, connections, before: connections * 8, stop: { durationMs } },
    {
      begin: async () => {
        if (event !== undefined) counter = await Counter.start(event, server.pid)
        before = await server.sample()
      },
      end: async () => {
        after = await server.sample()
        instructions = await counter?.stop()
      },
    },
  )
  const cpuMicros = after!.cpuMicros - before!.cpuMicros
  return {
    cpuMicrosPerCall: cpuMicros / result.calls,
    instructionsPerCall: instructions === undefined ? undefined : instructions / result.calls,
    callsPerSecond: (result.calls / result.wallMs) * 1_000,
    p50Micros: result.p50Micros,
    p99Micros: result.p99Micros,
    serverBusy: cpuMicros / (result.wallMs * 1_000),
    generatorBusy: result.cpuMicros / (result.wallMs * 1_000),
    calls: result.calls,
    errors: result.errors,
    firstError: result.firstError,
  }
}

/** Calls at a steady rate, started on time whatever the answers do. */
export function measurePaced(
  { target }: Running,
  generator: Generator,
  options: { connections: number; durationMs: number; perSecond: number },
): Promise<CallsResult> {
  const { connections, durationMs, perSecond } = options
  return generator.calls({ target, connections, before: connections * 8, stop: { durationMs }, perSecond })
}

/** What the heap keeps of each of `calls` calls, in bytes; near zero where it is flat. */
export async function measureGrowth(
  { server, target }: Running,
  generator: Generator,
  options: { connections: number; calls: number },
): Promise<{
  heapBytesPerCall: number
  heapBytes: number
  calls: number
  errors: number
  firstError: string | undefined
}> {
  const { connections, calls } = options
  const before = await server.sample(true)
  const result = await generator.calls({ target, connections, before: 0, stop: { calls } })
  const after = await server.sample(true)
  return {
    heapBytesPerCall: (after.heapBytes - before.heapBytes) / calls,
    heapBytes: after.heapBytes,
    calls: result.calls,
    errors: result.errors,
    firstError: result.firstError,
  }
}

/** What `count` idle sessions or open streams cost, each. */
export async function measureHeld(
  { server, target }: Running,
  generator: Generator,
  what: Held['what'],
  count: number,
): Promise<Held> {
  // Once without measuring, so that what the first ones load for good is not charged to the others.
  await generator.hold({ target, what, count: Math.min(count, 50) }, async () => undefined)
  const before = await server.sample(true)
  let during = before
  await generator.hold({ target, what, count }, async () => {
    during = await server.sample(true)
  })
  return {
    what,
    count,
    heapBytesEach: (during.heapBytes - before.heapBytes) / count,
    residentBytesEach: (during.residentBytes - before.residentBytes) / count,
  }
}
