import { createSecretKey, hkdfSync, type KeyObject } from 'node:crypto'
import type { Awaitable, Clock, Instant, RandomBytes } from '../call.ts'
import { Fault } from '../errors.ts'
import type { DataKeyStore, DataPurpose, WrappedKey } from './data-key-store.ts'
import type { RecordKey } from './record.ts'
import { RootKeys, type WrappingKeys } from './root-keys.ts'
import { unwrapKey, wrapKey } from './wrap.ts'

const keyBytes = 32
const idLength = 12
const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
/** How long the key that seals is taken to be the one: a key put in its place elsewhere seals here after this. */
const vouchedMs = 1_000

interface Sealing {
  readonly key: RecordKey
  readonly askedAt: Instant
}

export interface DataKeysParts {
  readonly store: DataKeyStore
  /** The root key, or those of a process that is between two. */
  readonly root: KeyObject | RootKeys
  readonly random: RandomBytes
  readonly clock: Clock
}

/**
 * The keys that seal records: one for each tenant and purpose, kept wrapped by the root key and unwrapped in memory alone.
 * A key that is not there, was destroyed or does not unwrap is `undefined`, and what it sealed cannot be read; a store out
 * of reach is a Fault.
 */
export class DataKeys {
  readonly #store: DataKeyStore
  readonly #roots: RootKeys
  readonly #random: RandomBytes
  readonly #clock: Clock
  readonly #known = new Map<string, RecordKey>()
  readonly #sealing = new Map<string, Sealing>()
  readonly #listeners: (() => void)[] = []
  /** How many were destroyed when it was last looked. */
  #destroyed = 0
  /** Moves with every key that is forgotten, so that a look that began before it brings none back. */
  #forgotten = 0

  constructor({ store, root, random, clock }: DataKeysParts) {
    this.#store = store
    this.#roots = root instanceof RootKeys ? root : new RootKeys(root)
    this.#random = random
    this.#clock = clock
  }

  /** The key that seals now; the first caller of a tenant makes it. */
  sealing(tenant: string, purpose: DataPurpose): Awaitable<RecordKey> {
    const known = this.#sealing.get(`${purpose}\n${tenant}`)
    if (known !== undefined && Math.abs(this.#clock() - known.askedAt) <= vouchedMs) return known.key
    return this.#ask(tenant, purpose)
  }

  /** The key of this id, for this tenant and purpose and no other. */
  opening(id: string, tenant: string, purpose: DataPurpose): Awaitable<RecordKey | undefined> {
    return this.#known.get(placeOf(id, tenant, purpose)) ?? this.#find(id, tenant, purpose)
  }

  /** A new key for the tenant and purpose, ready to be put into the store. */
  mint(tenant: string, purpose: DataPurpose, { root, data }: WrappingKeys = this.#roots.wraps): WrappedKey {
    const id = idOf(this.#random)
    const material = this.#random(keyBytes)
    const wrapped = wrapKey(data, dataKeyBinding({ id, tenant, purpose }), material, this.#random)
    material.fill(0)
    const createdAt = this.#clock()
    return { id, tenant, purpose, root, wrapped, createdAt, replacedAt: undefined, destroyedAt: undefined }
  }

  /**
   * Offers a new key to `take`, wrapped by the root key that wraps what is new: another process may have put one in the place
   * of ours. A store that takes neither is a Fault.
   */
  async offer<Taken>(
    tenant: string,
    purpose: DataPurpose,
    take: (fresh: WrappedKey) => Promise<Taken | undefined>,
  ): Promise<Taken> {
    for (const wrapping of this.#roots.all()) {
      const taken = await take(this.mint(tenant, purpose, wrapping))
      if (taken === undefined) continue
      this.#roots.wrapWith(wrapping.root)
      return taken
    }
    throw new Fault('store.unavailable', { reason: 'root-key' })
  }

  /** Whether the root key opens this one. */
  opens(row: WrappedKey): boolean {
    return this.#open(row) !== undefined
  }

  /** Forgets what is remembered of a key, so that the store is asked again. */
  forget(id: string): void {
    for (const [place, key] of this.#known) if (key.id === id) this.#known.delete(place)
    for (const [place, { key }] of this.#sealing) if (key.id === id) this.#sealing.delete(place)
    this.#forgotten++
    for (const listener of this.#listeners) listener()
  }

  /** Asks the store which keys seal when they are next needed, instead of within a second. */
  askAgain(): void {
    this.#sealing.clear()
    this.#forgotten++
  }

  /** Calls back when a key was forgotten, so that what was made of it is forgotten too. */
  onForgotten(listener: () => void): void {
    this.#listeners.push(listener)
  }

  /** Forgets the keys that others destroyed. To be called about every second where others write to the same store. */
  async poll(): Promise<void> {
    const destroyed = await this.#store.destroyed()
    if (destroyed === this.#destroyed) return
    const live = new Set((await this.#store.list()).flatMap(({ id, destroyedAt }) => (destroyedAt ? [] : [id])))
    for (const id of new Set([...this.#known.values()].map((key) => key.id))) if (!live.has(id)) this.forget(id)
    this.#destroyed = destroyed
  }

  async #ask(tenant: string, purpose: DataPurpose): Promise<RecordKey> {
    const askedAt = this.#clock()
    const forgotten = this.#forgotten
    const row = await this.offer(tenant, purpose, (fresh) => this.#store.claim(fresh))
    const key = this.#unwrap(row, forgotten)
    // Sealing with another key would leave what this one sealed unread, and nobody would know.
    if (key === undefined) throw new Fault('store.unavailable', { reason: 'data-key' })
    if (forgotten === this.#forgotten) this.#sealing.set(`${purpose}\n${tenant}`, { key, askedAt })
    return key
  }

  async #find(id: string, tenant: string, purpose: DataPurpose): Promise<RecordKey | undefined> {
    const forgotten = this.#forgotten
    const row = await this.#store.find(id)
    if (row === undefined || row.tenant !== tenant || row.purpose !== purpose) return undefined
    return this.#unwrap(row, forgotten)
  }

  #unwrap(row: WrappedKey, forgotten: number): RecordKey | undefined {
    const place = placeOf(row.id, row.tenant, row.purpose)
    const known = this.#known.get(place)
    if (known !== undefined) return known
    if (row.destroyedAt !== undefined) return undefined
    const key = this.#open(row)
    if (key === undefined) return undefined
    const made = { id: row.id, key }
    if (forgotten === this.#forgotten) this.#known.set(place, made)
    return made
  }

  #open(row: WrappedKey): KeyObject | undefined {
    const wrapping = this.#roots.find(row.root)
    return wrapping && unwrapKey(wrapping.data, dataKeyBinding(row), row.wrapped)
  }
}

/** A key of its own for one record's family, such as the events of one session, named by its salt (RFC 5869). */
export function familyKey({ id, key }: RecordKey, salt: Buffer, purpose: DataPurpose | 'mail'): RecordKey {
  const bytes = Buffer.from(hkdfSync('sha256', key, salt, `merlon/1/${purpose}`, keyBytes))
  const family = createSecretKey(bytes)
  bytes.fill(0)
  return { id, key: family }
}

/** A wrapped key that is moved to another tenant, purpose or id does not unwrap there. */
export function dataKeyBinding({ id, tenant, purpose }: Pick<WrappedKey, 'id' | 'tenant' | 'purpose'>): Buffer {
  return Buffer.from(JSON.stringify([id, tenant, purpose]))
}

function placeOf(id: string, tenant: string, purpose: DataPurpose): string {
  return `${id}\n${purpose}\n${tenant}`
}

/** 12 characters of base62, about 71 bits: names a key, and is no secret. */
function idOf(random: RandomBytes): string {
  let id = ''
  while (id.length < idLength) {
    for (const byte of random(idLength)) if (byte < 248 && id.length < idLength) id += alphabet[byte % 62]
  }
  return id
}
