import pg from 'pg'
import { Fault } from '../../errors.ts'
import type { SharedBusLine } from '../../replica/shared-bus.ts'
import { Wakes } from '../../replica/wakes.ts'

const channel = 'merlon_wakes'
const answerMs = 2_000

/**
 * Wakes by LISTEN and NOTIFY, on a connection of its own for as long as it lives: not through a pooler that gives a connection
 * to another after each transaction. What is sent while it is not there is dropped.
 */
export class PostgresBus implements SharedBusLine {
  readonly #databaseUrl: string
  readonly #listeners = new Set<(text: string) => void>()
  readonly #wakes: Wakes
  #client: pg.Client | undefined
  #probing: Promise<void> | undefined
  #over = false

  constructor(databaseUrl: string) {
    this.#databaseUrl = databaseUrl
    this.#wakes = new Wakes(
      async (texts) => {
        await this.#client?.query('select pg_notify($1, text) from unnest($2::text[]) text', [channel, texts])
      },
      // The next probe finds out, and says so.
      () => undefined,
    )
  }

  wake(text: string): void {
    if (this.#client !== undefined) this.#wakes.add(text)
  }

  onWake(listener: (text: string) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  probe(): Promise<void> {
    this.#probing ??= this.#probe().finally(() => {
      this.#probing = undefined
    })
    return this.#probing
  }

  async close(): Promise<void> {
    this.#over = true
    await this.#probing?.catch(() => undefined)
    const client = this.#client
    this.#client = undefined
    await client?.end().catch(() => undefined)
  }

  async #probe(): Promise<void> {
    try {
      if (this.#client === undefined) await this.#connect()
      else await this.#client.query('select 1')
    } catch (cause) {
      const client = this.#client
      this.#client = undefined
      void client?.end().catch(() => undefined)
      throw new Fault('store.unavailable', { reason: 'wakes', cause: failureOf(cause) })
    }
  }

  async #connect(): Promise<void> {
    const client = new pg.Client({
      connectionString: this.#databaseUrl,
      connectionTimeoutMillis: answerMs,
      query_timeout: answerMs,
      keepAlive: true,
      application_name: 'merlon wakes',
    })
    const lost = () => {
      if (this.#client === client) this.#client = undefined
    }
    client.on('error', lost)
    client.on('end', lost)
    client.on('notification', ({ channel: from, payload }) => {
      if (from === channel && payload !== undefined) for (const listener of this.#listeners) listener(payload)
    })
    try {
      await client.connect()
      await client.query(`listen ${channel}`)
    } catch (cause) {
      void client.end().catch(() => undefined)
      throw cause
    }
    if (this.#over) await client.end()
    else this.#client = client
  }
}

/** The kind of a failure: its sentence may hold the address, and the address a password. */
function failureOf(cause: unknown): Error {
  const code = (cause as { readonly code?: unknown } | undefined)?.code
  return new Error(
    typeof code === 'string' && /^[A-Z0-9_]{1,40}$/.test(code) ? `PostgreSQL: ${code}` : 'PostgreSQL: not connected',
  )
}
