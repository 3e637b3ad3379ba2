import type { KeyObject } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import type { Awaitable, Clock } from '../call.ts'
import type { HistoryStore } from '../history/history-store.ts'
import type { Replicas } from '../replica/replicas.ts'
import type { StreamWakes } from './stream-wakes.ts'

/** What makes streams resumable, in this process and in any other on the same store. */
export interface Resumption {
  readonly history: HistoryStore
  readonly key: KeyObject
  readonly clock: Clock
  readonly replicas: Replicas
  readonly wakes: StreamWakes
}

/** How long a client waits before it resumes a stream that broke. */
export const resumeAfterMs = 1_000

const againMs = 1_000

/**
 * Does what must not be left undone because the store was out of reach: tries again every second for as long as the process
 * lives. Does not keep it alive.
 */
export async function persist(
  work: () => Awaitable<unknown>,
  pause: (ms: number) => Promise<unknown> = (ms) => wait(ms, undefined, { ref: false }),
): Promise<void> {
  for (;;) {
    try {
      await work()
      return
    } catch {
      await pause(againMs)
    }
  }
}
