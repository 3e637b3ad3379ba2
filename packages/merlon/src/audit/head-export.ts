import { appendFile } from 'node:fs/promises'
import type { SignedHead } from './head.ts'

/** Heads that wait to be sent. Each newer one proves all before it, so that the oldest may go. */
const waitingMax = 1_000
const timeoutMs = 10_000

export interface HeadExport {
  /** Takes a head and sends it when it can. Never throws, never waits. */
  take(head: SignedHead): void
  /** Sends what waits, once more. */
  close(): Promise<void>
}

export interface HeadExportOptions {
  /** Sends heads; rejects where it could not. */
  readonly send: (heads: readonly SignedHead[]) => Promise<void>
  /** Says once that it fails, until it works again. */
  readonly onFailure: (cause: unknown) => void
}

/**
 * Carries heads out of the host, in their order. What could not be sent goes with the next head; beyond a bound the oldest
 * are left out, which are proved by those that follow.
 */
export function headExport({ send, onFailure }: HeadExportOptions): HeadExport {
  let waiting: SignedHead[] = []
  let sending: Promise<void> | undefined
  let failing = false
  const run = async () => {
    while (waiting.length > 0) {
      const heads = waiting
      waiting = []
      try {
        await send(heads)
        failing = false
      } catch (cause) {
        waiting = [...heads, ...waiting].slice(-waitingMax)
        if (!failing) onFailure(cause)
        failing = true
        return
      }
    }
  }
  const start = () => {
    sending ??= run().finally(() => {
      sending = undefined
    })
    return sending
  }
  return {
    take(head) {
      waiting.push(head)
      if (waiting.length > waitingMax) waiting.shift()
      void start()
    },
    async close() {
      await sending
      await start()
    },
  }
}

/** Appends heads to a file, one a line. */
export function headsToFile(path: string): HeadExportOptions['send'] {
  return (heads) =>
    appendFile(path, heads.map((head) => `${JSON.stringify(head)}\n`).join(''), { mode: 0o600, flush: true })
}

/** Sends each head to an address. It follows no redirect, and reads nothing of the answer but its status. */
export function headsToAddress(address: string, request: typeof fetch = fetch): HeadExportOptions['send'] {
  return async (heads) => {
    for (const head of heads) {
      const answer = await request(address, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(head),
        redirect: 'error',
        signal: AbortSignal.timeout(timeoutMs),
      })
      await answer.body?.cancel()
      if (!answer.ok) throw new Error(`the address for audit heads answered ${answer.status}`)
    }
  }
}
