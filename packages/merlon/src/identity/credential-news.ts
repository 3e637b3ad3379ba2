type Listener = (credential: string) => void

/** Tells of credentials that are good no longer, or not as they were, so that what was opened with them can be looked after. */
export class CredentialNews {
  readonly #withdrawn = new Set<Listener>()
  readonly #changed = new Set<Listener>()
  readonly #report: (what: 'listener', cause: unknown) => void

  constructor(report: (what: 'listener', cause: unknown) => void) {
    this.#report = report
  }

  /** Answers how to stop listening. */
  onWithdrawn(listener: Listener): () => void {
    this.#withdrawn.add(listener)
    return () => this.#withdrawn.delete(listener)
  }

  onChanged(listener: Listener): () => void {
    this.#changed.add(listener)
    return () => this.#changed.delete(listener)
  }

  withdrawn(credential: string): void {
    this.#tell(credential, this.#withdrawn)
  }

  changed(credential: string): void {
    this.#tell(credential, this.#changed)
  }

  #tell(credential: string, listeners: ReadonlySet<Listener>): void {
    for (const listener of listeners) {
      try {
        listener(credential)
      } catch (cause) {
        this.#report('listener', cause)
      }
    }
  }
}
