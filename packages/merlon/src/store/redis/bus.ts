import type { Redis } from 'ioredis'
import { Fault } from '../../errors.ts'
import type { SharedBusLine } from '../../replica/shared-bus.ts'
import { Wakes } from '../../replica/wakes.ts'
import { connectRedis, redisFailure } from './connection.ts'

export interface RedisBusOptions {
  readonly url: string
  /** Sets the wakes of one installation apart from those of another in the same Redis. */
  readonly prefix: string
}

/** Wakes by publish and subscribe, on two connections of its own: one that subscribes can do nothing else. */
export class RedisBus implements SharedBusLine {
  readonly #sending: Redis
  readonly #hearing: Redis
  readonly #channel: string
  readonly #listeners = new Set<(text: string) => void>()
  readonly #wakes: Wakes

  constructor({ url, prefix }: RedisBusOptions) {
    this.#channel = `${prefix}:wakes`
    this.#sending = connectRedis(url)
    this.#hearing = connectRedis(url)
    this.#hearing.on('message', (channel: string, text: string) => {
      if (channel === this.#channel) for (const listener of this.#listeners) listener(text)
    })
    this.#wakes = new Wakes(
      (texts) => {
        const pipeline = this.#sending.pipeline()
        for (const text of texts) pipeline.publish(this.#channel, text)
        return pipeline.exec()
      },
      // The next probe finds out, and says so.
      () => undefined,
    )
  }

  wake(text: string): void {
    this.#wakes.add(text)
  }

  onWake(listener: (text: string) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Sent and heard: one without the other wakes nobody. */
  async probe(): Promise<void> {
    try {
      for (const client of [this.#sending, this.#hearing]) if (client.status === 'wait') await client.connect()
      // Subscribing again is a question like any other, and harmless.
      await Promise.all([this.#sending.ping(), this.#hearing.subscribe(this.#channel)])
    } catch (cause) {
      throw new Fault('store.unavailable', { reason: 'wakes', cause: redisFailure(cause) })
    }
  }

  async close(): Promise<void> {
    this.#sending.disconnect()
    this.#hearing.disconnect()
  }
}
