/** How many different texts wait to be sent at most: beyond it a wake is dropped, and the polls make up for it. */
const waitingMax = 1_000

/**
 * Sends wakes a batch at a time: what is asked for while one batch is on its way goes into the next, each text once. What
 * cannot be sent is dropped: a wake that comes late is worth nothing.
 */
export class Wakes {
  readonly #send: (texts: readonly string[]) => Promise<unknown>
  readonly #failed: (cause: unknown) => void
  readonly #waiting = new Set<string>()
  #sending = false

  constructor(send: (texts: readonly string[]) => Promise<unknown>, failed: (cause: unknown) => void) {
    this.#send = send
    this.#failed = failed
  }

  add(text: string): void {
    if (this.#waiting.size >= waitingMax) return
    this.#waiting.add(text)
    if (this.#sending) return
    this.#sending = true
    void this.#sendAll()
  }

  async #sendAll(): Promise<void> {
    // What comes in the same turn goes together.
    await Promise.resolve()
    while (this.#waiting.size > 0) {
      const texts = [...this.#waiting]
      this.#waiting.clear()
      try {
        await this.#send(texts)
      } catch (cause) {
        this.#failed(cause)
      }
    }
    this.#sending = false
  }
}
