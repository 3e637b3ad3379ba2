import { createPrivateKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import type { Awaitable, Clock, Instant, RandomBytes } from '../call.ts'
import { type Actor, operates } from './actor.ts'
import { boundedId, type Recorder } from './recorded.ts'
import { type Refusal, refused } from './refusal.ts'
import type { SigningKey, SigningKeyStore } from './signing-key-store.ts'
import { readKey, type VerificationKey } from './token-algorithms.ts'
import type { JsonObject } from './token-format.ts'

/** A signing key as it may be shown: nothing of its private part. */
export interface ShownSigningKey {
  readonly id: string
  readonly alg: string
  /**
   * `published`: in the key set, and does not sign yet. `signing`: signs. `retiring`: signs no more, and what it signed is
   * good until it ends. `destroyed`: nothing it signed is good.
   */
  readonly state: 'published' | 'signing' | 'retiring' | 'destroyed'
  readonly createdAt: Instant
  readonly activeFrom: Instant
  readonly retiredAt: Instant | undefined
  readonly destroyedAt: Instant | undefined
}

/** Seals text, bound to where it belongs, and opens it again. */
interface Sealer {
  seal(plain: string, boundTo: string): string
  open(token: string, boundTo: string): string | undefined
}

export interface SigningKeysParts {
  readonly store: SigningKeyStore
  readonly sealer: Sealer
  readonly random: RandomBytes
  readonly clock: Clock
  readonly recorder: Recorder
  /** The longest life of a token: so long a key that signs no more stays in the key set. */
  readonly tokenMs: number
  /** A key signs for so long. */
  readonly rotationMs: number
  /** Told once for each outage. */
  readonly report: (cause: unknown) => void
}

/** A new key is in the key set for so long before it signs: twice what a reader of the set may keep it for. */
export const publishedMs = 600_000
export const keySetSeconds = 300
/** How long a key stays beyond the end of the last token that it signed: clocks differ. */
const slackMs = 120_000
/** Unknown keys make us look at the store at most so often. */
const lookAgainMs = 1_000

interface Known {
  readonly key: SigningKey
  readonly verification: VerificationKey
}

type Done<Value> = ({ readonly ok: true } & Value) | Refusal<'not-yours' | 'signing-key-unknown'>

/**
 * The keys that sign our tokens: published before they sign, kept in the key set until the last token they signed has ended,
 * then destroyed. All servers of one store take turns by its atomic acts and see the same keys within a second.
 */
export class SigningKeys {
  readonly #parts: SigningKeysParts
  readonly #listeners = new Set<() => void>()
  #known: ReadonlyMap<string, Known> = new Map()
  #keySet = '{"keys":[]}'
  #opened: { readonly id: string; readonly key: KeyObject } | undefined
  #refreshedAt: Instant = Number.NEGATIVE_INFINITY
  #turn: Promise<void> = Promise.resolve()
  #failed = false

  constructor(parts: SigningKeysParts) {
    this.#parts = parts
  }

  /** Reads the keys, and makes the first. Rejects where the root key does not open the one that signs. */
  async start(): Promise<void> {
    await this.refresh()
    await this.#attend()
    this.#signer()
  }

  /** To be called about every second: sees what others did, and does what is due. Never rejects. */
  async tick(): Promise<void> {
    try {
      await this.refresh()
      await this.#attend()
      this.#failed = false
    } catch (cause) {
      if (!this.#failed) this.#parts.report(cause)
      this.#failed = true
    }
  }

  /** Reads the keys again. After it, what a destroyed key signed is refused. */
  refresh(): Promise<void> {
    const next = this.#turn.then(() => this.#read())
    this.#turn = next.catch(() => undefined)
    return next
  }

  /** Calls back when a key was destroyed, so that what was verified with it is forgotten. */
  onDestroyed(listener: () => void): void {
    this.#listeners.add(listener)
  }

  /** The public parts as a JWK set (RFC 7517 §5), as JSON. */
  get keySet(): string {
    return this.#keySet
  }

  find(kid: string | undefined): Awaitable<VerificationKey | undefined> {
    if (kid === undefined) return undefined
    const known = this.#known.get(kid)
    if (known !== undefined) return known.verification
    const age = this.#parts.clock() - this.#refreshedAt
    if (age >= 0 && age < lookAgainMs) return undefined
    return this.refresh().then(() => this.#known.get(kid)?.verification)
  }

  /** Signs a token with the key whose turn it is (RFC 7515 §5.1). */
  sign(claims: JsonObject): string {
    const { id, key } = this.#signer()
    const header = encode({ alg: 'ES256', typ: 'at+jwt', kid: id })
    const signed = `${header}.${encode(claims)}`
    const signature = sign('sha256', Buffer.from(signed), { key, dsaEncoding: 'ieee-p1363' })
    return `${signed}.${signature.toString('base64url')}`
  }

  async list(by: Actor): Promise<Done<{ readonly keys: readonly ShownSigningKey[] }>> {
    if (!operates(by)) return refused('not-yours')
    await this.refresh()
    return { ok: true, keys: await this.#shown() }
  }

  /**
   * Publishes a new key, which signs ten minutes later. Where one is published already, that is the answer: asking twice makes
   * one key.
   */
  async rotate(by: Actor): Promise<Done<{ readonly key: ShownSigningKey }>> {
    if (!operates(by)) return refused('not-yours')
    const { clock, recorder } = this.#parts
    await this.refresh()
    const waiting = this.#waiting(clock())
    if (waiting !== undefined) return { ok: true, key: this.#showOf(waiting) }
    const line = { action: 'signing-key.rotate', by: by.id, tenant: undefined, detail: {} } as const
    await recorder.change(line, () => this.#add(clock() + publishedMs), { done: (added) => added })
    // Where another server was quicker, its key is the new one.
    return { ok: true, key: this.#showOf([...this.#known.values()].at(-1)!.key) }
  }

  /** Destroys a key at once, with all that it signed: for one that may have become known. Another signs from now on. */
  async retire(id: string, by: Actor): Promise<Done<{ readonly key: ShownSigningKey }>> {
    if (!operates(by)) return refused('not-yours')
    const { store, clock, recorder } = this.#parts
    await this.refresh()
    const found = (await store.listSigningKeys()).find((key) => key.id === id)
    if (found === undefined) return refused('signing-key-unknown')
    if (found.destroyedAt === undefined) {
      const detail = { signingKey: boundedId(id) }
      const line = { action: 'signing-key.retire', by: by.id, tenant: undefined, detail } as const
      await recorder.change(
        line,
        async () => {
          if (this.#current(clock())?.id === id) await this.#add(clock())
          await store.retireSigningKey(id, clock())
          return store.destroySigningKey(id, clock())
        },
        { done: (destroyed) => destroyed },
      )
      await this.refresh()
      await this.#attend()
    }
    const key = (await this.#shown()).find((shown) => shown.id === id)
    return key === undefined ? refused('signing-key-unknown') : { ok: true, key }
  }

  /** Opens the private part of each that has one. */
  async verify(): Promise<{ readonly records: number; readonly unreadable: number }> {
    const sealed = (await this.#parts.store.listSigningKeys()).filter((key) => key.sealed !== undefined)
    const unreadable = sealed.filter((key) => this.#open(key) === undefined)
    return { records: sealed.length, unreadable: unreadable.length }
  }

  #open({ id, sealed }: SigningKey): KeyObject | undefined {
    const text = sealed && this.#parts.sealer.open(sealed.toString('base64url'), placeOf(id))
    return text === undefined
      ? undefined
      : createPrivateKey({ key: Buffer.from(text, 'base64url'), format: 'der', type: 'pkcs8' })
  }

  async #shown(): Promise<readonly ShownSigningKey[]> {
    return (await this.#parts.store.listSigningKeys()).map((key) => this.#showOf(key))
  }

  #showOf(key: SigningKey): ShownSigningKey {
    const { id, alg, createdAt, activeFrom, retiredAt, destroyedAt } = key
    const signs = this.#current(this.#parts.clock())?.id === id
    const state =
      destroyedAt !== undefined
        ? 'destroyed'
        : signs
          ? 'signing'
          : retiredAt === undefined && activeFrom > this.#parts.clock()
            ? 'published'
            : 'retiring'
    return { id, alg, state, createdAt, activeFrom, retiredAt, destroyedAt }
  }

  /** The key that signs now: of those whose time has come, the one whose time came last. */
  #current(now: Instant): SigningKey | undefined {
    let current: SigningKey | undefined
    for (const { key } of this.#known.values()) {
      if (key.retiredAt !== undefined || key.activeFrom > now) continue
      if (current === undefined || key.activeFrom >= current.activeFrom) current = key
    }
    return current
  }

  #waiting(now: Instant): SigningKey | undefined {
    for (const { key } of this.#known.values()) if (key.retiredAt === undefined && key.activeFrom > now) return key
    return undefined
  }

  #signer(): { readonly id: string; readonly key: KeyObject } {
    const current = this.#current(this.#parts.clock())
    if (current === undefined) throw new Error('there is no key that signs tokens')
    if (this.#opened?.id !== current.id) {
      const key = this.#open(current)
      if (key === undefined) throw new Error('the key that signs tokens was sealed with another root key')
      this.#opened = { id: current.id, key }
    }
    return this.#opened
  }

  async #read(): Promise<void> {
    const { store, clock } = this.#parts
    const now = clock()
    const keys = (await store.listSigningKeys()).filter((key) => key.destroyedAt === undefined)
    const known = new Map<string, Known>()
    for (const key of keys) {
      const verification = readKey({ ...(JSON.parse(key.publicJwk) as JsonObject), kid: key.id, alg: 'ES256' })
      if (verification !== undefined) known.set(key.id, { key, verification })
    }
    const lost = [...this.#known.keys()].some((id) => !known.has(id))
    this.#known = known
    this.#refreshedAt = now
    this.#keySet = JSON.stringify({
      keys: [...known.values()].map(({ key }) => ({
        ...(JSON.parse(key.publicJwk) as JsonObject),
        kid: key.id,
        use: 'sig',
        alg: 'ES256',
      })),
    })
    if (this.#opened !== undefined && !known.has(this.#opened.id)) this.#opened = undefined
    if (lost) for (const listener of this.#listeners) listener()
  }

  /** Does what time asks for: a first key, the next one, the end of old ones. */
  async #attend(): Promise<void> {
    const { store, clock, tokenMs, rotationMs } = this.#parts
    const now = clock()
    const current = this.#current(now)
    if (current === undefined) await this.#add(now)
    else if (current.activeFrom + rotationMs <= now + publishedMs && this.#waiting(now) === undefined)
      await this.#add(Math.max(current.activeFrom + rotationMs, now + publishedMs))
    let changed = false
    for (const { key } of this.#known.values()) {
      if (key.retiredAt !== undefined) {
        if (key.retiredAt + tokenMs + slackMs > now) continue
        changed = (await store.destroySigningKey(key.id, now)) || changed
      } else if (current !== undefined && key.activeFrom < current.activeFrom) {
        changed = (await store.retireSigningKey(key.id, now)) !== undefined || changed
      }
    }
    if (changed) await this.refresh()
  }

  /** Adds a key, unless another server has just done so. Answers whether it was this one. */
  async #add(activeFrom: Instant): Promise<boolean> {
    const { store, sealer, random, clock } = this.#parts
    const newest = (await store.listSigningKeys()).at(-1)?.id
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const id = random(16).toString('base64url')
    const der = privateKey.export({ format: 'der', type: 'pkcs8' })
    const sealed = Buffer.from(sealer.seal(der.toString('base64url'), placeOf(id)), 'base64url')
    der.fill(0)
    const { kty, crv, x, y } = publicKey.export({ format: 'jwk' })
    const publicJwk = JSON.stringify({ kty, crv, x, y })
    const added = await store.addSigningKey({ id, alg: 'ES256', publicJwk, sealed, activeFrom }, newest, clock())
    await this.refresh()
    return added
  }
}

/** A sealed key is bound to its id: it cannot be put in the place of another. */
function placeOf(id: string): string {
  return `signing-key\n${id}`
}

function encode(value: JsonObject): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}
