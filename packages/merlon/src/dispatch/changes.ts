import type { Change } from '../call.ts'
import type { SharedChange } from '../replica/mailbox.ts'

/** Whether a change is announced in this process alone, or in every one. */
type Where = 'here' | 'everywhere'

/** Carries changes of the catalog and of resources to the streams that asked for them. */
export class Changes {
  private readonly listeners = new Set<(change: Change, where: Where) => void>()
  private readonly carry: ((change: SharedChange) => void) | undefined

  /** `carry` brings a change to all replicas, this one included: each announces it when it arrives. */
  constructor(carry?: (change: SharedChange) => void) {
    this.carry = carry
  }

  /** Answers how to stop listening. */
  listen(listener: (change: Change, where: Where) => void): () => void {
    this.listeners.add(listener)
    return () => this.listeners.delete(listener)
  }

  /** Tells those who listen in this process. */
  announce(change: Change, where: Where = 'here'): void {
    for (const listener of this.listeners) listener(change, where)
  }

  /** Tells those who listen in every process. */
  publish(change: SharedChange): void {
    if (this.carry === undefined) this.announce(change)
    else this.carry(change)
  }
}
