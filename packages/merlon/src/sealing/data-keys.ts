import { createCipheriv, createDecipheriv, createSecretKey, hkdfSync, type KeyObject } from 'node:crypto'
import type { Awaitable, Clock, Instant, RandomBytes } from '../call.ts'
import { Fault } from '../errors.ts'
import type { DataKeyStore, DataPurpose, WrappedKey } from './data-key-store.ts'
import type { RecordKey } from './record.ts'
import { deriveKey, rootKeyCheck } from './root-key.ts'

const keyBytes = 32
const ivBytes = 12
const tagBytes = 16
const wrapVersion = 1
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
  readonly root: KeyObject
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
  readonly #wrapping: KeyObject
  readonly #root: string
  readonly #random: RandomBytes
  readonly #clock: Clock
  readonly #known = new Map<string, RecordKey>()
  readonly #sealing = new Map<string, Sealing>()

  constructor({ store, root, random, clock }: DataKeysParts) {
    this.#store = store
    this.#wrapping = deriveKey(root, 'data-key-wrap')
    this.#root = rootKeyCheck(root)
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
  mint(tenant: string, purpose: DataPurpose): WrappedKey {
    const id = idOf(this.#random)
    const material = this.#random(keyBytes)
    const wrapped = wrap(this.#wrapping, bindingOf(id, tenant, purpose), material, this.#random)
    material.fill(0)
    const createdAt = this.#clock()
    return { id, tenant, purpose, root: this.#root, wrapped, createdAt, replacedAt: undefined, destroyedAt: undefined }
  }

  /** Forgets what is remembered of a key, so that the store is asked again. */
  forget(id: string): void {
    for (const [place, key] of this.#known) if (key.id === id) this.#known.delete(place)
    for (const [place, { key }] of this.#sealing) if (key.id === id) this.#sealing.delete(place)
  }

  async #ask(tenant: string, purpose: DataPurpose): Promise<RecordKey> {
    const askedAt = this.#clock()
    const row = await this.#store.claim(this.mint(tenant, purpose))
    const key = this.#unwrap(row)
    // Sealing with another key would leave what this one sealed unread, and nobody would know.
    if (key === undefined) throw new Fault('store.unavailable', { reason: 'data-key' })
    this.#sealing.set(`${purpose}\n${tenant}`, { key, askedAt })
    return key
  }

  async #find(id: string, tenant: string, purpose: DataPurpose): Promise<RecordKey | undefined> {
    const row = await this.#store.find(id)
    return row === undefined || row.tenant !== tenant || row.purpose !== purpose ? undefined : this.#unwrap(row)
  }

  #unwrap(row: WrappedKey): RecordKey | undefined {
    const place = placeOf(row.id, row.tenant, row.purpose)
    const known = this.#known.get(place)
    if (known !== undefined) return known
    if (row.destroyedAt !== undefined) return undefined
    const key = unwrapKey(this.#wrapping, row)
    if (key === undefined) return undefined
    const made = { id: row.id, key }
    this.#known.set(place, made)
    return made
  }
}

/** A key of its own for one record's family, such as the events of one session, named by its salt (RFC 5869). */
export function familyKey({ id, key }: RecordKey, salt: Buffer, purpose: DataPurpose): RecordKey {
  const bytes = Buffer.from(hkdfSync('sha256', key, salt, `merlon/1/${purpose}`, keyBytes))
  const family = createSecretKey(bytes)
  bytes.fill(0)
  return { id, key: family }
}

/** Wraps the key for another root key. Undefined where `from` does not wrap it. */
export function rewrapKey(row: WrappedKey, from: KeyObject, to: KeyObject, random: RandomBytes): Buffer | undefined {
  const key = unwrapKey(deriveKey(from, 'data-key-wrap'), row)
  if (key === undefined) return undefined
  const material = key.export()
  const binding = bindingOf(row.id, row.tenant, row.purpose)
  const wrapped = wrap(deriveKey(to, 'data-key-wrap'), binding, material, random)
  material.fill(0)
  return wrapped
}

function wrap(wrapping: KeyObject, binding: Buffer, material: Buffer, random: RandomBytes): Buffer {
  const iv = random(ivBytes)
  const cipher = createCipheriv('aes-256-gcm', wrapping, iv, { authTagLength: tagBytes })
  cipher.setAAD(binding)
  const sealed = [cipher.update(material), cipher.final()]
  return Buffer.concat([Buffer.of(wrapVersion), iv, ...sealed, cipher.getAuthTag()])
}

function unwrapKey(wrapping: KeyObject, { id, tenant, purpose, wrapped }: WrappedKey): KeyObject | undefined {
  if (wrapped.length !== 1 + ivBytes + keyBytes + tagBytes || wrapped[0] !== wrapVersion) return undefined
  const decipher = createDecipheriv('aes-256-gcm', wrapping, wrapped.subarray(1, 1 + ivBytes), {
    authTagLength: tagBytes,
  })
  decipher.setAAD(bindingOf(id, tenant, purpose))
  decipher.setAuthTag(wrapped.subarray(wrapped.length - tagBytes))
  const material = decipher.update(wrapped.subarray(1 + ivBytes, wrapped.length - tagBytes))
  try {
    decipher.final()
    return createSecretKey(material)
  } catch {
    return undefined
  } finally {
    material.fill(0)
  }
}

/** A wrapped key that is moved to another tenant, purpose or id does not unwrap there. */
function bindingOf(id: string, tenant: string, purpose: DataPurpose): Buffer {
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
