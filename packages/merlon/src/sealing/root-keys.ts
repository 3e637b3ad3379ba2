import type { KeyObject } from 'node:crypto'
import { deriveKey, rootKeyCheck } from './root-key.ts'

/** What one root key wraps with, and the check by which its work is known. */
export interface WrappingKeys {
  /** Its `rootKeyCheck`. */
  readonly root: string
  /** Wraps data keys. */
  readonly data: KeyObject
  /** Wraps the keys that are kept for the installation. */
  readonly kept: KeyObject
}

/**
 * The root keys of a process: one, or two while one takes the place of the other. Either opens what it wrapped; which of the
 * two wraps what is new is for the store to say, so that all processes agree.
 */
export class RootKeys {
  readonly #known = new Map<string, WrappingKeys>()
  #wraps: WrappingKeys
  #next: WrappingKeys | undefined

  constructor(root: KeyObject, next?: KeyObject) {
    this.#wraps = this.#add(root)
    if (next !== undefined) this.offer(next)
  }

  /** What wraps what is new, as far as this process knows. */
  get wraps(): WrappingKeys {
    return this.#wraps
  }

  /** The root key that is to take the place of the one before, or has. */
  get next(): WrappingKeys | undefined {
    return this.#next
  }

  /** Undefined where this process does not have that root key. */
  find(root: string): WrappingKeys | undefined {
    return this.#known.get(root)
  }

  /** Takes the root key that is to follow. The same as the present one is none. */
  offer(next: KeyObject): void {
    const added = this.#add(next)
    this.#next = added === this.#wraps ? undefined : added
  }

  /** The one to follow has taken its place whole: there is none to follow until another is offered. */
  settle(taken: WrappingKeys): void {
    if (this.#next === taken) this.#next = undefined
  }

  /** From now on this one wraps what is new. Answers whether it is known here. */
  wrapWith(root: string): boolean {
    const found = this.#known.get(root)
    if (found !== undefined) this.#wraps = found
    return found !== undefined
  }

  /** All that could wrap what is new, the most likely first. */
  all(): readonly WrappingKeys[] {
    return [this.#wraps, ...[...this.#known.values()].filter((keys) => keys !== this.#wraps)]
  }

  #add(key: KeyObject): WrappingKeys {
    const root = rootKeyCheck(key)
    const known = this.#known.get(root)
    if (known !== undefined) return known
    const added = { root, data: deriveKey(key, 'data-key-wrap'), kept: deriveKey(key, 'kept-key-wrap') }
    this.#known.set(root, added)
    return added
  }
}
