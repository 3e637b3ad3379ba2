import type { KeyObject } from 'node:crypto'
import type { RandomBytes } from '../call.ts'
import { Fault } from '../errors.ts'
import type { DataKeyStore } from './data-key-store.ts'
import { dataKeyBinding } from './data-keys.ts'
import type { RecordedChange } from './encryption-keys.ts'
import { keptBinding, openKept } from './kept-keys.ts'
import type { RootKeys, WrappingKeys } from './root-keys.ts'
import type { KeptKey, RootStore } from './root-store.ts'
import { rewrapKey } from './wrap.ts'

/** Where the root key of this process comes from, and what to do when another has taken its place. */
export interface RootPlace {
  readonly kind: 'file' | 'setting'
  /** Looks for a next root key that was not there at the start. */
  find(): KeyObject | undefined
  /** Makes one. Undefined where the root key is not ours to make. */
  readonly make: (() => KeyObject) | undefined
  /** Puts the next root key, of this check, in the place of the present one, as far as that is ours to do. Twice is once. */
  adopt(root: string): void
}

export interface RootChangeParts {
  readonly roots: RootKeys
  readonly store: RootStore
  readonly dataKeys: DataKeyStore
  readonly place: RootPlace
  readonly random: RandomBytes
  readonly recorded: RecordedChange
}

export type Rewrapped =
  | { readonly ok: true; readonly root: string; readonly rewrapped: number; readonly place: RootPlace['kind'] }
  | { readonly ok: false; readonly reason: 'no-next' | 'cannot-make' }

/** How many keys are wrapped anew before the store is asked again what is left. */
const roundsMax = 1_000

/** Puts another root key in the place of the present one, while both are there. What is sealed stays as it is. */
export class RootChange {
  readonly #parts: RootChangeParts

  constructor(parts: RootChangeParts) {
    this.#parts = parts
  }

  kept(): Promise<readonly KeptKey[]> {
    return this.#parts.store.kept()
  }

  /** Goes on with a change that was cut short, if there is one. To be called at a start. */
  async resume(by: string): Promise<void> {
    const { roots, store, place } = this.#parts
    const { next } = roots
    if (next === undefined || (await store.root()) !== next.root) return
    const left = [...(await store.wrapped()).keys()].some((root) => root !== next.root)
    if (left || place.kind === 'file') await this.rewrap(false, by)
  }

  /** Of each key of the installation whether a root key that is here opens it. */
  async verify(): Promise<readonly { readonly key: KeptKey; readonly usable: boolean }[]> {
    const kept = await this.#parts.store.kept()
    return kept.map((key) => ({ key, usable: openKept(this.#parts.roots, key) !== undefined }))
  }

  /**
   * Wraps every key with the next root key. First the store is told that the next one wraps what is new, so that none is left
   * behind; cut short at any step, both are still needed, and calling it again goes on. Once it answers, the next alone opens
   * the store.
   */
  async rewrap(make: boolean, by: string): Promise<Rewrapped> {
    const { roots, place, recorded } = this.#parts
    if (roots.next === undefined) {
      const found = place.find()
      if (found !== undefined) roots.offer(found)
    }
    if (roots.next === undefined && make) {
      if (place.make === undefined) return { ok: false, reason: 'cannot-make' }
      roots.offer(place.make())
    }
    const { next } = roots
    if (next === undefined) return { ok: false, reason: 'no-next' }
    const detail = { from: roots.wraps.root.slice(0, 8), to: next.root.slice(0, 8) }
    const rewrapped = await recorded({ action: 'encryption-key.rewrap', by, tenant: undefined, detail }, async () => {
      const count = await this.#change(next)
      place.adopt(next.root)
      // Where root.key is the new one the change is over, and the next time is another root key's.
      if (place.kind === 'file') roots.settle(next)
      return count
    })
    return { ok: true, root: next.root, rewrapped, place: place.kind }
  }

  async #change(next: WrappingKeys): Promise<number> {
    const { roots, store } = this.#parts
    const present = await store.root()
    if (present === undefined || !(await store.change(present, next.root)))
      throw new Fault('change.conflict', { reason: 'root-key', says: 'Another root key took its place meanwhile.' })
    roots.wrapWith(next.root)
    let count = 0
    for (let round = 0; round < roundsMax; round++) {
      if ([...(await store.wrapped()).keys()].every((root) => root === next.root)) return count
      count += await this.#wrapAll(next)
    }
    throw new Fault('change.conflict', {
      reason: 'root-key',
      says: 'Keys are added faster than they are wrapped anew.',
    })
  }

  async #wrapAll(next: WrappingKeys): Promise<number> {
    const { roots, store, dataKeys, random } = this.#parts
    let count = 0
    for (const { purpose, root, wrapped } of await store.kept()) {
      if (root === next.root) continue
      const from = roots.find(root)
      const anew = from && rewrapKey(wrapped, keptBinding(purpose), from.kept, next.kept, random)
      if (anew === undefined) throw broken(purpose)
      if (await store.rewrap(purpose, root, { root: next.root, wrapped: anew })) count++
    }
    for (const key of await dataKeys.list()) {
      if (key.root === next.root || key.destroyedAt !== undefined) continue
      const from = roots.find(key.root)
      const anew = from && rewrapKey(key.wrapped, dataKeyBinding(key), from.data, next.data, random)
      if (anew === undefined) throw broken(key.id)
      if (await dataKeys.rewrap(key.id, key.root, { root: next.root, wrapped: anew })) count++
    }
    return count
  }
}

function broken(id: string): Fault {
  const says = `The key ${id} does not open: it was changed. A backup has it; a data key can be destroyed by force.`
  return new Fault('change.conflict', { reason: 'key-broken', says })
}
