import type { Instant } from '../../call.ts'
import type { DataKeyStore, WrappedKey } from '../../sealing/data-key-store.ts'

/** Data keys in the memory of one process: what they sealed ends with it. */
export class MemoryDataKeyStore implements DataKeyStore {
  private readonly keys = new Map<string, WrappedKey>()
  private root: string | undefined

  /** From now on no key is taken that another root key wraps. */
  async changeRoot(root: string): Promise<void> {
    this.root = root
  }

  async claim(fresh: WrappedKey): Promise<WrappedKey | undefined> {
    const standing = this.sealing(fresh)
    if (standing !== undefined) return standing
    if (fresh.root !== (this.root ?? fresh.root)) return undefined
    this.keys.set(fresh.id, fresh)
    return fresh
  }

  async replace(fresh: WrappedKey, replaces: string, now: Instant): Promise<WrappedKey | undefined> {
    if (fresh.root !== (this.root ?? fresh.root)) return undefined
    const standing = this.sealing(fresh)
    if (standing !== undefined) {
      if (standing.id !== replaces) return standing
      this.keys.set(standing.id, { ...standing, replacedAt: now })
    }
    this.keys.set(fresh.id, fresh)
    return fresh
  }

  async find(id: string): Promise<WrappedKey | undefined> {
    return this.keys.get(id)
  }

  async list(): Promise<readonly WrappedKey[]> {
    return [...this.keys.values()].sort(
      (a, b) =>
        order(a.tenant, b.tenant) || order(a.purpose, b.purpose) || a.createdAt - b.createdAt || order(a.id, b.id),
    )
  }

  async rewrap(id: string, from: string, to: { readonly root: string; readonly wrapped: Buffer }): Promise<boolean> {
    const key = this.keys.get(id)
    if (key === undefined || (key.root !== from && key.root !== to.root)) return false
    if (key.root === from) this.keys.set(id, { ...key, ...to })
    return true
  }

  async destroy(id: string, now: Instant): Promise<'destroyed' | 'unknown' | 'sealing'> {
    const key = this.keys.get(id)
    if (key === undefined) return 'unknown'
    if (key.replacedAt === undefined) return 'sealing'
    if (key.destroyedAt === undefined) this.keys.set(id, { ...key, destroyedAt: now, wrapped: Buffer.alloc(0) })
    return 'destroyed'
  }

  async destroyed(): Promise<number> {
    return [...this.keys.values()].filter(({ destroyedAt }) => destroyedAt !== undefined).length
  }

  private sealing({ tenant, purpose }: WrappedKey): WrappedKey | undefined {
    for (const key of this.keys.values())
      if (key.tenant === tenant && key.purpose === purpose && key.replacedAt === undefined) return key
    return undefined
  }
}

function order(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
