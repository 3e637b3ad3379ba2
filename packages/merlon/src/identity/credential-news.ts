/** `tenant` where only what is of that tenant is meant: a subject of another issuer may have come to several. */
type Listener = (credential: string, tenant?: string) => void

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

  withdrawn(credential: string, tenant?: string): void {
    this.#tell(this.#withdrawn, credential, tenant)
  }

  changed(credential: string, tenant?: string): void {
    this.#tell(this.#changed, credential, tenant)
  }

  #tell(listeners: ReadonlySet<Listener>, credential: string, tenant: string | undefined): void {
    for (const listener of listeners) {
      try {
        listener(credential, tenant)
      } catch (cause) {
        this.#report('listener', cause)
      }
    }
  }
}
