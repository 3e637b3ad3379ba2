/**
 * Loaded into every server before its own code (`node --import`). Tells the benchmark where the server listens, and answers
 * with its CPU time and memory when asked, so that each server is measured from inside its own process and none needs to
 * know that it is.
 */
import { subscribe } from 'node:diagnostics_channel'
import type { Server } from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'

export interface Sample {
  /** CPU time of all threads of the process, user and system, in microseconds since its start. */
  readonly cpuMicros: number
  readonly heapBytes: number
  readonly externalBytes: number
  readonly residentBytes: number
}

export type FromProbe = { readonly listening: number } | { readonly asked: number; readonly sample: Sample }
/** `collect`: collect garbage first, until nothing more goes away. */
export interface ToProbe {
  readonly ask: number
  readonly collect: boolean
}

function sample(): Sample {
  const cpu = process.cpuUsage()
  const memory = process.memoryUsage()
  return {
    cpuMicros: cpu.user + cpu.system,
    heapBytes: memory.heapUsed,
    externalBytes: memory.external,
    residentBytes: memory.rss,
  }
}

async function collect(): Promise<void> {
  for (let i = 0; i < 4; i++) {
    globalThis.gc?.()
    await turn()
  }
}

/** Longer than a server takes that only tries whether a port is free. */
const settledMs = 10

const send = (message: FromProbe): void => {
  process.send?.(message)
}

if (process.send !== undefined) {
  subscribe('tracing:net.server.listen:asyncEnd', (message) => {
    const { server } = message as { server: Server }
    // A server that only tried whether the port is free has closed again by then.
    setTimeout(() => {
      const address = server.address()
      if (address !== null && typeof address === 'object') send({ listening: address.port })
    }, settledMs)
  })
  process.on('message', async (message) => {
    const { ask, collect: first } = message as ToProbe
    if (first) await collect()
    send({ asked: ask, sample: sample() })
  })
  process.on('disconnect', () => process.exit(0))
}
