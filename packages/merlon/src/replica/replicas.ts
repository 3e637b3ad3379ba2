import { randomBytes } from 'node:crypto'
import type { Awaitable } from '../call.ts'

/** The processes that share a store. Each has a name, drawn when it starts and never used again. */
export interface Replicas {
  /** The name of this process now. */
  readonly self: string
  /** Whether other processes may be on the same store. */
  readonly shared: boolean
  /**
   * Whether a process of this name goes on. Once it is answered with no, it stays so, and nothing that was begun under that
   * name is written any more.
   */
  isAlive(id: string): Awaitable<boolean>
  /**
   * Calls back when the others gave this process up, once for each time, before `self` changes: what was begun under the
   * former name is lost to it. Answers how to stop that.
   */
  onCut(listener: () => void): () => void
}

/** The name of one process. */
export function replicaId(): string {
  return randomBytes(16).toString('hex')
}

/** A process that has its store to itself: every other name is of one that is gone. */
export class SingleReplica implements Replicas {
  readonly self = replicaId()
  readonly shared = false

  isAlive(id: string): boolean {
    return id === this.self
  }

  onCut(): () => void {
    return () => undefined
  }
}
