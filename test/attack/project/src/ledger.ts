/**
 * What the fixture's handlers did. It hangs on the process and not on the module, because the server under attack loads
 * its own copy of these files.
 */
export interface Ledger {
  /** What `write_note` keeps. */
  readonly notes: string[]
  /** Every handler that ran, in order. */
  readonly ran: string[]
  /** Every handler whose signal was aborted. */
  readonly aborted: string[]
  /** How far `count` goes where it is told to wait. */
  readonly gate: Gate
}

/** Holds something up until it is let go on. */
export class Gate {
  #upTo = 0
  readonly #waiting = new Set<() => void>()

  /** Lets whoever comes pass up to this step. */
  open(upTo: number): void {
    this.#upTo = upTo
    for (const look of [...this.#waiting]) look()
  }

  /** Resolves when this step may be taken, or nobody wants it any more. */
  passed(step: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const look = () => {
        if (step > this.#upTo && !signal.aborted) return
        this.#waiting.delete(look)
        signal.removeEventListener('abort', look)
        resolve()
      }
      this.#waiting.add(look)
      signal.addEventListener('abort', look)
      look()
    })
  }
}

const place = Symbol.for('merlon.attack.ledger')

export function ledger(): Ledger {
  const holder = globalThis as { [place]?: Ledger }
  holder[place] ??= { notes: [], ran: [], aborted: [], gate: new Gate() }
  return holder[place]
}

/** Said by every handler of a tenant's data, so that it can be found where it must not be. */
export function bytesOf(tenant: string): string {
  return `bytes-of-${tenant}`
}

/** In what `broken` throws: nothing of it may reach a client or the audit log. */
export const canary = 'canary-7d41c9-thrown'
