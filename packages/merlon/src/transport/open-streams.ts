import type { ServerResponse } from 'node:http'
import { heartbeat } from './sse.ts'

export interface StreamBounds {
  readonly heartbeatMs: number
  readonly bufferBytesMax: number
  readonly stallMs: number
}

/**
 * The streams that are open now: keeps them alive, and closes one whose reader takes nothing, so that a slow reader costs
 * a bounded buffer for a bounded time. One timer serves all.
 */
export class OpenStreams {
  private readonly since = new Map<ServerResponse, { fullSince: number | undefined }>()
  private timer: NodeJS.Timeout | undefined
  private readonly bounds: StreamBounds

  constructor(bounds: StreamBounds) {
    this.bounds = bounds
  }

  get size(): number {
    return this.since.size
  }

  /** How long a reader may take nothing. */
  get stallMs(): number {
    return this.bounds.stallMs
  }

  add(response: ServerResponse): void {
    this.since.set(response, { fullSince: undefined })
    this.timer ??= setInterval(() => this.beat(), Math.min(this.bounds.heartbeatMs, 1_000)).unref()
  }

  remove(response: ServerResponse): void {
    this.since.delete(response)
    if (this.since.size === 0) {
      clearInterval(this.timer)
      this.timer = undefined
    }
  }

  /** Writes to a stream; closes it instead where its reader has fallen too far behind. */
  write(response: ServerResponse, chunk: string): void {
    if (response.writableLength > this.bounds.bufferBytesMax) response.destroy()
    else response.write(chunk)
  }

  private beats = 0

  private beat(): void {
    const now = performance.now()
    const due = ++this.beats % Math.max(1, Math.round(this.bounds.heartbeatMs / 1_000)) === 0
    for (const [response, state] of this.since) {
      // Ended, but its reader has not taken the rest: the connection's own time bounds that. A write now would be an error
      // that nobody catches.
      if (response.writableEnded) continue
      if (!response.writableNeedDrain) {
        state.fullSince = undefined
        if (due) response.write(heartbeat)
      } else {
        state.fullSince ??= now
        if (now - state.fullSince >= this.bounds.stallMs) response.destroy()
      }
    }
  }
}
