import type { Change } from '../call.ts'

/** Carries changes of the catalog and of resources to the streams that asked for them. */
export class Changes {
  private readonly listeners = new Set<(change: Change) => void>()

  /** Answers how to stop listening. */
  listen(listener: (change: Change) => void): () => void {
    this.listeners.add(listener)
    return () => this.listeners.delete(listener)
  }

  announce(change: Change): void {
    for (const listener of this.listeners) listener(change)
  }
}
