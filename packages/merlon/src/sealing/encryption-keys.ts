import type { Clock, Instant } from '../call.ts'
import type { DataKeyStore, DataPurpose, WrappedKey } from './data-key-store.ts'
import type { DataKeys } from './data-keys.ts'
import { pagesOf, type SealedRecord, type SealedRecords } from './sealed-records.ts'

/** What is done to keys, as it is recorded: what was meant before it is done, and what came of it after. */
export type RecordedChange = <T>(
  line: {
    readonly action: KeyAction
    readonly by: string
    readonly tenant: string | undefined
    readonly detail: Detail
  },
  change: () => Promise<T>,
) => Promise<T>
export type KeyAction =
  | 'encryption-key.rotate'
  | 'encryption-key.retire'
  | 'encryption-key.destroy'
  | 'encryption-key.rewrap'
type Detail = Readonly<Record<string, string | number>>

export interface EncryptionKeysParts {
  readonly store: DataKeyStore
  readonly keys: DataKeys
  /** Everything that data keys seal. */
  readonly records: readonly SealedRecords[]
  readonly recorded: RecordedChange
  readonly clock: Clock
  /** Lets other work go on. */
  readonly pause: () => Promise<void>
  /** Told of what failed beside any caller. */
  readonly report: (cause: unknown) => void
}

/** Which keys to replace: all, or those of a tenant, of a purpose, and made before a moment. */
export interface Rotation {
  readonly tenant?: string | undefined
  readonly purpose?: DataPurpose | undefined
  readonly before?: Instant | undefined
}

/** How many records of each kind. */
export type Counts = Readonly<Record<string, number>>

/** `needed`: it is not done, because the key seals, or these records would be lost. `early`: writes may be under way. */
export type Ended =
  | { readonly ok: true; readonly key: WrappedKey; readonly lost: Counts }
  | { readonly ok: false; readonly reason: 'unknown' | 'sealing' | 'early' }
  | { readonly ok: false; readonly reason: 'needed'; readonly needs: Counts }

/** What was found of one key and of what it sealed. */
export interface KeyFinding {
  readonly id: string
  readonly tenant: string | undefined
  readonly purpose: DataPurpose
  /** `missing`: records name it, and there is no such key. */
  readonly state: KeyState | 'missing'
  /** Whether the root key opens it. */
  readonly usable: boolean
  readonly records: number
  readonly unreadable: number
}

export type KeyState = 'sealing' | 'replaced' | 'destroyed'

/** Longer than a write may take that had asked for its key before another took its place, whatever process makes it. */
export const drainMs = 10_000

/**
 * Changes data keys while they are in use. A new key seals at once here, and within a second in every other process; what the
 * old one sealed is sealed anew behind the calls. Each record says which key sealed it, so nothing else has to be remembered:
 * whoever is killed in between goes on with those that are left.
 */
export class EncryptionKeys {
  readonly #parts: EncryptionKeysParts
  /** Replaced keys under which nothing was left. */
  readonly #settled = new Set<string>()
  #passing: Promise<void> | undefined
  #again = false
  #closed = false
  /** Looks once more for what came behind the last pass. */
  #later: NodeJS.Timeout | undefined

  constructor(parts: EncryptionKeysParts) {
    this.#parts = parts
  }

  list(): Promise<readonly WrappedKey[]> {
    return this.#parts.store.list()
  }

  /**
   * Puts a new key in the place of each that is meant, and has records sealed anew by and by. Answers how many this call
   * replaced. Where it was cut short, calling it again with the same `before` replaces those that are left.
   */
  async rotate({ tenant, purpose, before }: Rotation, by: string): Promise<number> {
    const { store, keys, recorded } = this.#parts
    const detail = {
      ...(purpose === undefined ? {} : { purpose }),
      ...(before === undefined ? {} : { before: new Date(before).toISOString() }),
    }
    const replaced = await recorded({ action: 'encryption-key.rotate', by, tenant, detail }, async () => {
      let count = 0
      for (const key of await store.list()) {
        if (key.replacedAt !== undefined || (before !== undefined && key.createdAt >= before)) continue
        if ((tenant ?? key.tenant) !== key.tenant || (purpose ?? key.purpose) !== key.purpose) continue
        if (await this.#replace(key)) count++
      }
      return count
    })
    keys.askAgain()
    this.attend()
    return replaced
  }

  /** Erases a replaced key that nothing needs; refuses while a record needs it. */
  async retire(id: string, by: string): Promise<Ended> {
    const { store, clock } = this.#parts
    const key = await store.find(id)
    if (key === undefined) return { ok: false, reason: 'unknown' }
    if (key.destroyedAt !== undefined) return { ok: true, key, lost: {} }
    if (key.replacedAt === undefined) return { ok: false, reason: 'sealing' }
    if (clock() < key.replacedAt + drainMs) return { ok: false, reason: 'early' }
    const needs = await this.#count(key)
    if (isAny(needs)) return { ok: false, reason: 'needed', needs }
    return this.#erase('encryption-key.retire', key, {}, by)
  }

  /**
   * Erases a key. Refuses what `retire` refuses, unless it is forced: then it is done at once, another seals from now on, and
   * what the key had sealed is gone. Sessions among it end.
   */
  async destroy(id: string, force: boolean, by: string): Promise<Ended> {
    const { store, clock } = this.#parts
    const key = await store.find(id)
    if (key === undefined) return { ok: false, reason: 'unknown' }
    if (!force && key.replacedAt === undefined) return { ok: false, reason: 'sealing' }
    const needs = await this.#count(key)
    if (!force && isAny(needs)) return { ok: false, reason: 'needed', needs }
    if (!force && key.destroyedAt === undefined && clock() < key.replacedAt! + drainMs)
      return { ok: false, reason: 'early' }
    return this.#erase('encryption-key.destroy', key, needs, by)
  }

  /** Opens every record, and says of each key what was found. */
  async verify(): Promise<readonly KeyFinding[]> {
    const { store, keys, records, pause } = this.#parts
    const rest = resting(pause)
    const found = new Map<string, { records: number; unreadable: number; purpose: DataPurpose }>()
    for (const each of records) {
      for await (const page of pagesOf(each, pause)) {
        for (const record of page) {
          const verdict = await each.check(record)
          await rest()
          if (verdict === 'gone') continue
          const name = record.key ?? 'unknown'
          const tally = found.get(name) ?? { records: 0, unreadable: 0, purpose: each.purpose }
          tally.records++
          if (verdict === 'unreadable') tally.unreadable++
          found.set(name, tally)
        }
      }
    }
    const findings: KeyFinding[] = []
    for (const key of await store.list()) {
      const { id, tenant, purpose } = key
      const { records = 0, unreadable = 0 } = found.get(id) ?? {}
      found.delete(id)
      const usable = key.destroyedAt === undefined && (await keys.opens(key))
      findings.push({ id, tenant, purpose, state: stateOf(key), usable, records, unreadable })
    }
    for (const [id, { records, unreadable, purpose }] of found)
      findings.push({ id, tenant: undefined, purpose, state: 'missing', usable: false, records, unreadable })
    return findings
  }

  /**
   * Seals anew what replaced keys sealed, and takes away what destroyed keys sealed, behind whatever else is done. To be
   * called at the start and now and then: it goes on where another process was killed.
   */
  attend(): void {
    if (this.#closed) return
    this.#again = true
    this.#passing ??= this.#passes()
  }

  /** Answers once nothing is under way. */
  async settled(): Promise<void> {
    await this.#passing
  }

  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#later)
    await this.#passing
  }

  async #passes(): Promise<void> {
    // What asks for a pass in this turn is told at once that there is one.
    await Promise.resolve()
    try {
      while (this.#again && !this.#closed) {
        this.#again = false
        await this.#pass()
      }
    } catch (cause) {
      this.#parts.report(cause)
    }
    this.#passing = undefined
  }

  async #pass(): Promise<void> {
    const { store, records, clock, pause } = this.#parts
    const rest = resting(pause)
    const began = clock()
    const stale = new Map<string, WrappedKey>()
    for (const key of await store.list())
      if (key.replacedAt !== undefined && !this.#settled.has(settledName(key))) stale.set(key.id, key)
    if (stale.size === 0) return
    const purposes = new Set([...stale.values()].map(({ purpose }) => purpose))
    for (const each of records) {
      if (!purposes.has(each.purpose)) continue
      for await (const page of pagesOf(each, pause)) {
        const lost: SealedRecord[] = []
        for (const record of page) {
          if (this.#closed) return
          const key = record.key === undefined ? undefined : stale.get(record.key)
          if (key === undefined) continue
          if (key.destroyedAt !== undefined) lost.push(record)
          else await each.reseal(record)
          await rest()
        }
        if (lost.length > 0) await each.drop(lost, clock())
      }
    }
    // A write that had asked for its key before may have come behind us.
    let late = false
    for (const key of stale.values()) {
      if ((key.destroyedAt ?? key.replacedAt ?? began) + drainMs <= began) this.#settled.add(settledName(key))
      else late = true
    }
    clearTimeout(this.#later)
    if (late && !this.#closed) this.#later = setTimeout(() => this.attend(), drainMs).unref()
  }

  async #erase(
    action: 'encryption-key.retire' | 'encryption-key.destroy',
    key: WrappedKey,
    needs: Counts,
    by: string,
  ): Promise<Ended> {
    const { store, keys, recorded, clock } = this.#parts
    const detail = { encryptionKey: key.id, purpose: key.purpose, ...needs }
    const lost = await recorded({ action, by, tenant: key.tenant, detail }, async () => {
      if (key.replacedAt === undefined) await this.#replace(key)
      await store.destroy(key.id, clock())
      keys.forget(key.id)
      return isAny(needs) ? this.#drop(key) : {}
    })
    const erased = await store.find(key.id)
    // What was written meanwhile is found by the next pass.
    this.attend()
    return { ok: true, key: erased ?? key, lost }
  }

  /** Answers whether it was this call that replaced the key. */
  async #replace(key: WrappedKey): Promise<boolean> {
    const { store, keys, clock } = this.#parts
    const replaced = await keys.offer(key.tenant, key.purpose, async (fresh) => {
      const sealing = await store.replace(fresh, key.id, clock())
      return sealing && { ours: sealing.id === fresh.id }
    })
    keys.askAgain()
    return replaced.ours
  }

  async #count(key: WrappedKey): Promise<Counts> {
    const counts: Record<string, number> = {}
    for (const each of this.#ofPurpose(key)) {
      counts[each.kind] = 0
      for await (const page of pagesOf(each, this.#parts.pause))
        counts[each.kind]! += page.filter((record) => record.key === key.id).length
    }
    return counts
  }

  async #drop(key: WrappedKey): Promise<Counts> {
    const counts: Record<string, number> = {}
    for (const each of this.#ofPurpose(key)) {
      counts[each.kind] = 0
      for await (const page of pagesOf(each, this.#parts.pause)) {
        const lost = page.filter((record) => record.key === key.id)
        if (lost.length > 0) counts[each.kind]! += await each.drop(lost, this.#parts.clock())
      }
    }
    return counts
  }

  #ofPurpose({ purpose }: WrappedKey): readonly SealedRecords[] {
    return this.#parts.records.filter((each) => each.purpose === purpose)
  }
}

export function stateOf({ replacedAt, destroyedAt }: WrappedKey): KeyState {
  return destroyedAt !== undefined ? 'destroyed' : replacedAt !== undefined ? 'replaced' : 'sealing'
}

/** A key that is destroyed after it was settled is looked at once more. */
function settledName({ id, destroyedAt }: WrappedKey): string {
  return destroyedAt === undefined ? id : `${id} destroyed`
}

function isAny(counts: Counts): boolean {
  return Object.values(counts).some((count) => count > 0)
}

/** What may hold up a call at a time. */
const workMsMax = 5

/** Pauses once this has gone on for a while: a store that answers at once would otherwise let nobody in between two records. */
function resting(pause: () => Promise<void>): () => Promise<void> | undefined {
  let since = performance.now()
  return () => {
    if (performance.now() - since < workMsMax) return undefined
    return pause().then(() => {
      since = performance.now()
    })
  }
}
