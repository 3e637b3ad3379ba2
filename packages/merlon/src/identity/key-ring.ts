import { hash, randomBytes } from 'node:crypto'
import type { Awaitable, Clock, Instant, ScopeSet } from '../call.ts'
import { Fault } from '../errors.ts'
import { type ChangePoll, later, type Schedule } from './change-poll.ts'
import { CredentialNews } from './credential-news.ts'
import type { Changes } from './installation-store.ts'
import type { KeyDigest } from './key-digest.ts'
import { idIn, parseKey } from './key-format.ts'
import type { KeyRecord, KeyStore, KeyUse } from './key-store.ts'
import { alike, judge, type KnownKey, know, opens, refusal, same, standing, type Verdict } from './key-verdict.ts'
import { Recent } from './recent.ts'
import type { Door } from './verdict.ts'

export interface KeyRingParts {
  readonly store: Pick<KeyStore, 'findKey' | 'touchKeys'>
  readonly poll: ChangePoll
  readonly digest: KeyDigest
  /** The scopes of each role. */
  readonly roles: ReadonlyMap<string, ScopeSet>
  readonly clock: Clock
  /** Default: a timer that does not keep the process alive. */
  readonly schedule?: Schedule
  /** Told of what went wrong beside the calls. */
  readonly report?: (what: 'last-used' | 'listener', cause: unknown) => void
  /** How many keys are remembered. Default 10,000. */
  readonly rememberedMax?: number
}

const flushMs = 30_000
/** Uses noted between two flushes. Those of further keys are not noted: it is a courtesy, not a record. */
const usesMax = 10_000

/**
 * An id that is not there. Finding a key and missing one take different times, so every refusal does both: a stranger who
 * measures cannot tell an id that exists from one that does not.
 */
const absent = 'key_000000000000'

interface Remembered {
  readonly key: KnownKey
  /** What its present secret reads as under this process's own hash; undefined where an older one was shown. */
  readonly mark: string | undefined
  usedAt: Instant
  noted: boolean
}

/**
 * Answers whose key it is that was shown.
 *
 * A yes may come from memory, as long as a poll of the store within the last second vouches for it. A no never does: it is
 * asked of the store, so that a key made or rotated elsewhere a moment ago is good at once, and so that a wrong secret and
 * an unknown id cost the same. While the store is out of reach and memory is too old, nobody is let in and nobody is told
 * that their key is bad: `Fault('store.unavailable')`.
 */
export class KeyRing {
  /**
   * Told of each credential that is no longer good, so that what was opened with it can be closed: one that was revoked or
   * whose owner was disabled, and one that expired, unless thousands of other keys have come since it did: a stream that
   * outlives that minds `Principal.expiresAt` itself. And of each that is still good but not as it was: it was rotated, or
   * its owner or scopes changed.
   */
  readonly news: CredentialNews
  readonly #store: KeyRingParts['store']
  readonly #poll: ChangePoll
  readonly #digest: KeyDigest
  readonly #roles: ReadonlyMap<string, ScopeSet>
  readonly #clock: Clock
  readonly #schedule: Schedule
  readonly #report: (what: 'last-used' | 'listener', cause: unknown) => void
  readonly #salt = randomBytes(32).toString('base64url')
  readonly #memory: Recent<Remembered>
  /** When the keys that were let in end. A change makes us ask about a key again, but its end is still to be told. */
  readonly #ends: Recent<{ readonly id: string; readonly at: Instant }>
  #used: Remembered[] = []
  /** The id of some key that is there, once one has been seen. */
  #present = absent
  #earliestEnd = Number.POSITIVE_INFINITY
  #cancelFlush: (() => void) | undefined
  #closed = false

  constructor(parts: KeyRingParts) {
    this.#store = parts.store
    this.#poll = parts.poll
    this.#digest = parts.digest
    this.#roles = parts.roles
    this.#clock = parts.clock
    this.#schedule = parts.schedule ?? later
    this.#report = parts.report ?? (() => undefined)
    this.news = new CredentialNews(this.#report)
    this.#memory = new Recent(parts.rememberedMax ?? 10_000)
    this.#ends = new Recent(parts.rememberedMax ?? 10_000)
    parts.poll.follow((changes, everything) => this.#forget(changes, everything))
  }

  /**
   * Judges a key that is shown at a door, from an address. Answers at once for a good key that is remembered. Throws or
   * rejects only with a Fault of ours.
   */
  authenticate(text: string, door: Door, address: string | undefined): Awaitable<Verdict> {
    const now = this.#clock()
    if (this.#poll.vouches(now)) {
      const remembered = this.#memory.get(idIn(text))
      if (remembered?.mark !== undefined && this.#mark(text) === remembered.mark) {
        const { key } = remembered
        const verdict = opens(key, door, address, standing(key, now))
        if (verdict.ok) {
          this.#noteUse(remembered, now)
          return verdict
        }
      }
    }
    const shown = parseKey(text)
    if (shown === undefined) return refusal('malformed')
    return this.#ask(shown.id, text, door, address)
  }

  /** Begins to write down now and then when keys were last used. */
  start(): void {
    if (this.#closed) return
    this.#cancelFlush = this.#schedule(() => void this.flush().then(() => this.start()), flushMs)
  }

  /** Writes down when keys were last used. Never rejects: a use that cannot be noted is reported and forgotten. */
  async flush(): Promise<void> {
    const uses: KeyUse[] = []
    for (const remembered of this.#used) {
      remembered.noted = false
      uses.push({ id: remembered.key.id, at: remembered.usedAt })
    }
    this.#used = []
    if (uses.length === 0) return
    try {
      await this.#store.touchKeys(uses)
    } catch (cause) {
      this.#report('last-used', cause)
    }
  }

  /** Notes the last uses and forgets every key. Does not close the store. */
  async close(): Promise<void> {
    this.#closed = true
    this.#cancelFlush?.()
    await this.flush()
    this.#memory.clear()
  }

  /**
   * Recognises a text that was let in before at a tenth of the cost of its digest. The salt dies with the process, and nobody
   * knows it: where two marks differ tells nothing of the texts, so they are compared as they are.
   */
  #mark(text: string): string {
    return hash('sha256', this.#salt + text, 'base64url')
  }

  async #ask(id: string, text: string, door: Door, address: string | undefined): Promise<Verdict> {
    const digest = this.#digest(text)
    const { revision } = this.#poll
    const record = await this.#find(id)
    const now = this.#clock()
    if (record === undefined) {
      const decoy = await this.#find(this.#present)
      if (decoy !== undefined) judge(know(decoy, this.#roles), digest, now)
      return refusal('unknown', id)
    }
    const mark = same(digest, record.digest) ? this.#mark(text) : undefined
    const remembered: Remembered = { key: know(record, this.#roles), mark, usedAt: now, noted: false }
    const verdict = opens(remembered.key, door, address, judge(remembered.key, digest, now))
    this.#present = id
    if (!verdict.ok) {
      await this.#find(absent)
      return verdict
    }
    // Where a poll moved the revision meanwhile, it may have dropped this key before we got to remember it.
    if (revision !== undefined && revision === this.#poll.revision) this.#memory.set(id, remembered)
    this.#noteUse(remembered, now)
    this.#noteEnd(id, record.expiresAt)
    return verdict
  }

  async #find(id: string): Promise<KeyRecord | undefined> {
    try {
      return await this.#store.findKey(id)
    } catch (cause) {
      throw cause instanceof Fault ? cause : new Fault('store.unavailable', { cause })
    }
  }

  #noteEnd(id: string, at: Instant): void {
    this.#ends.set(id, { id, at })
    this.#earliestEnd = Math.min(this.#earliestEnd, at)
  }

  #noteUse(remembered: Remembered, now: Instant): void {
    remembered.usedAt = now
    if (remembered.noted || this.#used.length >= usesMax) return
    remembered.noted = true
    this.#used.push(remembered)
  }

  #forget({ keys }: Changes, everything: boolean): () => Promise<void> {
    if (everything) this.#memory.clear()
    const before = new Map(keys.map(({ id }) => [id, this.#memory.get(id)?.key]))
    for (const { id } of keys) this.#memory.delete(id)
    return async () => {
      for (const { id, withdrawn } of keys) {
        if (withdrawn) this.news.withdrawn(id)
        else if (await this.#differs(id, before.get(id)).catch(() => true)) this.news.changed(id)
      }
      this.#dropExpired(this.#clock())
    }
  }

  /** Whether the key is another than we knew. One that we read after its change, such as a new one, is as we know it. */
  async #differs(id: string, before: KnownKey | undefined): Promise<boolean> {
    const record = before === undefined ? undefined : await this.#find(id)
    return before === undefined || record === undefined || !alike(before, know(record, this.#roles))
  }

  #dropExpired(now: Instant): void {
    if (now < this.#earliestEnd) return
    const ended: string[] = []
    this.#earliestEnd = Number.POSITIVE_INFINITY
    for (const { id, at } of this.#ends.values()) {
      if (now >= at) ended.push(id)
      else this.#earliestEnd = Math.min(this.#earliestEnd, at)
    }
    for (const id of ended) {
      this.#memory.delete(id)
      this.#ends.delete(id)
      this.news.withdrawn(id)
    }
  }
}
