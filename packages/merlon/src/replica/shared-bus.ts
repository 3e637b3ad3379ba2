import type { Bus } from './bus.ts'

/** A bus that reaches other processes, and can lose them. */
export interface SharedBusLine {
  /** Sends to all who listen, this process included, if it can. Throws nothing, and promises nothing. */
  wake(text: string): void
  onWake(listener: (text: string) => void): () => void
  /** Asks whether it is there, connecting where it is not. Rejects with the reason. Never open twice at once. */
  probe(): Promise<void>
  close(): Promise<void>
}

/** Over what wakes travel now. `none`: over nothing, and polls alone tell of what is new. */
export type WakesOver = 'redis' | 'postgres' | 'none'

export interface SharedBusOptions {
  readonly redis: SharedBusLine | undefined
  readonly postgres: SharedBusLine
  /** Told once of each change, with the reason where a line was lost. */
  readonly onChange: (over: WakesOver, before: WakesOver, cause: unknown) => void
}

/**
 * Wakes other replicas by Redis where there is one and it is well, and by PostgreSQL otherwise. It listens on both all the
 * time, so that replicas that do not agree on whether Redis is well hear each other all the same, but for one that has lost
 * the line which another still sends on: that one finds what is new by its polls.
 */
export class SharedBus implements Bus {
  readonly #options: SharedBusOptions
  readonly #well = { redis: false, postgres: false }
  #over: WakesOver = 'none'
  #probing = false

  constructor(options: SharedBusOptions) {
    this.#options = options
  }

  get over(): WakesOver {
    return this.#over
  }

  wake(text: string): void {
    const { redis, postgres } = this.#options
    if (this.#well.redis) redis?.wake(text)
    else postgres.wake(text)
  }

  onWake(listener: (text: string) => void): () => void {
    const { redis, postgres } = this.#options
    const stops = [redis, postgres].map((line) => line?.onWake(listener))
    return () => {
      for (const stop of stops) stop?.()
    }
  }

  /** Asks both lines whether they are there. Never rejects; while one question is open there is no second. */
  async probe(): Promise<void> {
    if (this.#probing) return
    this.#probing = true
    try {
      const [redis, postgres] = await Promise.all([failureOf(this.#options.redis), failureOf(this.#options.postgres)])
      this.#well.redis = this.#options.redis !== undefined && redis === undefined
      this.#well.postgres = postgres === undefined
      const before = this.#over
      this.#over = this.#well.redis ? 'redis' : this.#well.postgres ? 'postgres' : 'none'
      if (this.#over !== before) this.#options.onChange(this.#over, before, redis?.cause ?? postgres?.cause)
    } finally {
      this.#probing = false
    }
  }

  async close(): Promise<void> {
    await this.#options.redis?.close()
    await this.#options.postgres.close()
  }
}

async function failureOf(line: SharedBusLine | undefined): Promise<{ cause: unknown } | undefined> {
  try {
    await line?.probe()
    return undefined
  } catch (cause) {
    return { cause }
  }
}
