import type { Bus } from '../replica/bus.ts'

/** Waits for wakes that are about one stream. */
export interface StreamWatch {
  /** Resolves when the stream was woken since the last time, or after so long. */
  next(ms: number): Promise<void>
  stop(): void
}

/** Hints between processes that there is something new in a stream: an event, or a reader who has left. */
export class StreamWakes {
  private readonly bus: Bus
  /** What a session is called on the bus: tells nothing of its id. */
  private readonly nameOf: (session: string) => string
  private readonly watching = new Map<string, Set<() => void>>()

  constructor(bus: Bus, nameOf: (session: string) => string) {
    this.bus = bus
    this.nameOf = nameOf
    bus.onWake((text) => {
      for (const wake of this.watching.get(text) ?? []) wake()
    })
  }

  wake(session: string, stream: number): void {
    this.bus.wake(this.textOf(session, stream))
  }

  watch(session: string, stream: number): StreamWatch {
    const text = this.textOf(session, stream)
    let woken = false
    let resolve: (() => void) | undefined
    const wake = () => {
      woken = true
      resolve?.()
    }
    const watching = this.watching.get(text) ?? new Set()
    this.watching.set(text, watching.add(wake))
    return {
      async next(ms) {
        if (!woken) {
          let timer: NodeJS.Timeout | undefined
          await new Promise<void>((done) => {
            resolve = done
            timer = setTimeout(done, ms).unref()
          })
          clearTimeout(timer)
          resolve = undefined
        }
        woken = false
      },
      stop: () => {
        watching.delete(wake)
        if (watching.size === 0 && this.watching.get(text) === watching) this.watching.delete(text)
        wake()
      },
    }
  }

  private textOf(session: string, stream: number): string {
    return `stream ${this.nameOf(session)}/${stream}`
  }
}
