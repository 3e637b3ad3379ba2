/**
 * Tells the other processes on the same store that there is something to look for. A wake is a hint: it may come late, twice
 * or never, and anybody who reaches the bus may send one. So its text holds nothing secret, and nothing is believed of it:
 * who hears it reads the store. Whoever waits for one also looks by themselves from time to time.
 *
 * Texts: `mail`, `sessions`, `stream <hex digest of the session>/<number>`.
 */
export interface Bus {
  /** Wakes every listener, those of this process included. Never throws and never waits. */
  wake(text: string): void
  /** Calls back with each text; answers how to stop that. */
  onWake(listener: (text: string) => void): () => void
}

/** The bus of a process that shares its store with no other. */
export class OwnBus implements Bus {
  private readonly listeners = new Set<(text: string) => void>()

  wake(text: string): void {
    for (const listener of this.listeners) listener(text)
  }

  onWake(listener: (text: string) => void): () => void {
    // Each call its own entry, so that one who listens twice stops once.
    const entry = (text: string) => listener(text)
    this.listeners.add(entry)
    return () => this.listeners.delete(entry)
  }
}
