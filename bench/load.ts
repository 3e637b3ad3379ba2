/**
 * The load generator: its own process on its own core, driven over IPC by `run.ts`. It sends what `requests.ts` built,
 * checks every answer, and measures latency from the moment a call was due.
 */
import { randomBytes } from 'node:crypto'
import { Connection } from './connection.ts'
import {
  type CallBytes,
  callBytes,
  deleteBytes,
  firstId,
  initializeBytes,
  initializedBytes,
  streamBytes,
  type Target,
  writeId,
} from './requests.ts'
import { header, type Response } from './response.ts'
import { quantile } from './statistics.ts'

/** When a run ends: after so many calls, or so long. */
export type Stop = { readonly calls: number } | { readonly durationMs: number }

export interface CallsOrder {
  readonly do: 'calls'
  readonly target: Target
  readonly connections: number
  /** Calls to make before the run is counted, over the connections of the run. */
  readonly before: number
  readonly stop: Stop
  /** Calls a second, started on time whatever the answers do; absent, each connection calls again once it is answered. */
  readonly perSecond?: number
}

/** Opens sessions, or streams that stay open, and keeps them until `release`. */
export interface HoldOrder {
  readonly do: 'hold'
  readonly target: Target
  readonly what: 'sessions' | 'streams'
  readonly count: number
}

/** One call, sent raw: what does the server say to it? */
export interface AskOrder {
  readonly do: 'ask'
  readonly target: Target
  readonly text: string
}

export type Order = CallsOrder | HoldOrder | AskOrder | { readonly do: 'go' } | { readonly do: 'release' }

export interface CallsResult {
  readonly calls: number
  readonly errors: number
  readonly firstError: string | undefined
  readonly wallMs: number
  readonly p50Micros: number
  readonly p99Micros: number
  /** CPU the generator used in the run, in microseconds: near `wallMs` it was the bottleneck itself. */
  readonly cpuMicros: number
}

export type Reply =
  | { readonly said: 'ready' }
  | { readonly said: 'done'; readonly result: CallsResult }
  | { readonly said: 'held' }
  | { readonly said: 'released' }
  | { readonly said: 'answer'; readonly status: number; readonly type: string; readonly body: string }
  | { readonly said: 'failed'; readonly why: string }

/** A run that makes no progress for so long is given up, so that a server that hangs cannot hang the benchmark. */
const stallMs = 20_000

interface Lane {
  readonly connection: Connection
  readonly session: string | undefined
  readonly call: CallBytes
  id: number
  idBytes: Buffer
  dueAt: number
}

function randomText(): string {
  return randomBytes(24).toString('base64url')
}

async function openSession(connection: Connection, target: Target): Promise<string | undefined> {
  if (!target.session) return undefined
  const opened = await connection.ask(initializeBytes(target))
  const session = header(opened.head, 'mcp-session-id')
  if (opened.status !== 200 || session === undefined) {
    throw new Error(`initialize was answered with ${opened.status}: ${opened.body.toString('utf8').slice(0, 200)}`)
  }
  const welcomed = await connection.ask(initializedBytes(target, session))
  if (welcomed.status !== 202) throw new Error(`notifications/initialized was answered with ${welcomed.status}`)
  return session
}

async function openLane(target: Target, index: number, total: number): Promise<Lane> {
  const connection = await Connection.open(target.port)
  const session = await openSession(connection, target)
  const call = callBytes(target, session, randomText())
  // Ids are unique over all connections: there are servers that mix up the answers of sessions that use the same id.
  const id = firstId + Math.floor((8_000_000_000 / total) * index)
  const lane: Lane = { connection, session, call, id, idBytes: Buffer.alloc(10), dueAt: 0 }
  nextId(lane)
  return lane
}

function nextId(lane: Lane): void {
  lane.id++
  writeId(lane.call.bytes, lane.call.idAt, lane.id)
  writeId(lane.idBytes, 0, lane.id)
}

/** What is wrong with an answer, or undefined. */
function faultOf(lane: Lane, { status, body }: Response): string | undefined {
  if (status === 200 && body.includes(lane.idBytes) && body.includes(lane.call.text)) return undefined
  return `${status} ${body.toString('utf8').slice(0, 200)}`
}

/** Runs calls over `lanes` until `stop`, and resolves when every call that began has been answered. */
function runCalls(lanes: readonly Lane[], stop: Stop, perSecond: number | undefined): Promise<CallsResult> {
  return new Promise((resolve, reject) => {
    const callsMax = 'calls' in stop ? stop.calls : Number.POSITIVE_INFINITY
    const durationMs = 'durationMs' in stop ? stop.durationMs : Number.POSITIVE_INFINITY
    const free: Lane[] = []
    const latencies: number[] = []
    const cpuBefore = process.cpuUsage()
    const startedAt = performance.now()
    const endsAt = startedAt + durationMs
    let sent = 0
    let answered = 0
    let errors = 0
    let firstError: string | undefined
    let over = false

    const watchdog = watchProgress(() => answered, abort)

    function abort(error: Error): void {
      if (over) return
      over = true
      watchdog()
      reject(error)
    }

    function finish(): void {
      if (over) return
      over = true
      watchdog()
      const wallMs = performance.now() - startedAt
      const cpu = process.cpuUsage(cpuBefore)
      const sorted = Float64Array.from(latencies).sort()
      resolve({
        calls: answered,
        errors,
        firstError,
        wallMs,
        p50Micros: quantile(sorted, 0.5) * 1_000,
        p99Micros: quantile(sorted, 0.99) * 1_000,
        cpuMicros: cpu.user + cpu.system,
      })
    }

    function begin(lane: Lane, dueAt: number): void {
      sent++
      lane.dueAt = dueAt
      lane.connection.write(lane.call.bytes)
    }

    function onAnswer(lane: Lane, response: Response): void {
      const now = performance.now()
      latencies.push(now - lane.dueAt)
      answered++
      const fault = faultOf(lane, response)
      if (fault !== undefined) {
        errors++
        firstError ??= fault
      }
      nextId(lane)
      if (perSecond !== undefined) free.push(lane)
      else if (sent < callsMax && now < endsAt) begin(lane, now)
      if (answered === sent && (sent >= callsMax || now >= endsAt)) finish()
    }

    for (const lane of lanes) {
      lane.connection.listen((response) => onAnswer(lane, response), abort)
      if (perSecond !== undefined) free.push(lane)
      else if (sent < callsMax) begin(lane, startedAt)
    }

    if (perSecond === undefined) return
    // A timer is too coarse for this: it would send in bursts of one millisecond, and the bursts would be the latency.
    const tick = (): void => {
      if (over) return
      const now = performance.now()
      const due = Math.floor((Math.min(now, endsAt) - startedAt) * (perSecond / 1_000))
      while (sent < due && sent < callsMax && free.length > 0)
        begin(free.shift()!, startedAt + sent / (perSecond / 1_000))
      if (answered === sent && (sent >= callsMax || (now >= endsAt && sent >= due))) finish()
      else setImmediate(tick)
    }
    tick()
  })
}

/** Calls `abort` when `progress` has not changed for `stallMs`. The function it returns ends the watch. */
function watchProgress(progress: () => number, abort: (error: Error) => void): () => void {
  let last = -1
  const timer = setInterval(() => {
    const now = progress()
    if (now === last) abort(new Error(`no answer for ${stallMs} ms`))
    last = now
  }, stallMs)
  return () => clearInterval(timer)
}

async function closeLanes(lanes: readonly Lane[], target: Target): Promise<void> {
  for (const lane of lanes) {
    if (lane.session !== undefined) await lane.connection.ask(deleteBytes(target, lane.session)).catch(() => undefined)
    lane.connection.close()
  }
}

async function calls(order: CallsOrder): Promise<void> {
  const lanes: Lane[] = []
  try {
    for (let i = 0; i < order.connections; i++) lanes.push(await openLane(order.target, i, order.connections))
    if (order.before > 0) await runCalls(lanes, { calls: order.before }, undefined)
    const go = waitFor('go')
    say({ said: 'ready' })
    await go
    const result = await runCalls(lanes, order.stop, order.perSecond)
    say({ said: 'done', result })
    await closeLanes(lanes, order.target)
    say({ said: 'released' })
  } catch (error) {
    for (const lane of lanes) lane.connection.close()
    throw error
  }
}

async function hold({ target, what, count }: HoldOrder): Promise<void> {
  const opened: { connection: Connection; session: string | undefined }[] = []
  const release = waitFor('release')
  // Sessions are opened over one connection, so that what is measured is the session and not a socket for each.
  const shared = await Connection.open(target.port)
  for (let i = 0; i < count; i++) {
    const session = await openSession(shared, target)
    if (what === 'sessions') {
      opened.push({ connection: shared, session })
      continue
    }
    const connection = await Connection.open(target.port)
    const { status } = await connection.askStream(streamBytes(target, session))
    if (status !== 200) throw new Error(`a stream was answered with ${status}`)
    opened.push({ connection, session })
  }
  say({ said: 'held' })
  await release
  for (const { connection, session } of opened) {
    if (connection !== shared) connection.close()
    if (session !== undefined) await shared.ask(deleteBytes(target, session)).catch(() => undefined)
  }
  shared.close()
  say({ said: 'released' })
}

async function ask({ target, text }: AskOrder): Promise<void> {
  const connection = await Connection.open(target.port)
  try {
    const session = await openSession(connection, target)
    const response = await connection.ask(callBytes(target, session, text).bytes)
    const type = header(response.head, 'content-type') ?? ''
    const body = response.body.toString('utf8')
    if (session !== undefined) await connection.ask(deleteBytes(target, session)).catch(() => undefined)
    say({ said: 'answer', status: response.status, type, body })
  } finally {
    connection.close()
  }
}

const waiting = new Map<string, () => void>()

function waitFor(word: 'go' | 'release'): Promise<void> {
  return new Promise((resolve) => waiting.set(word, resolve))
}

function say(reply: Reply): void {
  process.send?.(reply)
}

async function obey(order: Order): Promise<void> {
  if (order.do === 'calls') return calls(order)
  if (order.do === 'hold') return hold(order)
  if (order.do === 'ask') return ask(order)
  waiting.get(order.do)?.()
  waiting.delete(order.do)
}

process.on('message', (order) => {
  obey(order as Order).catch((error: Error) => say({ said: 'failed', why: error.message }))
})
process.on('disconnect', () => process.exit(0))
