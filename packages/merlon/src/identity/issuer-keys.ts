import type { Awaitable, Clock, Instant } from '../call.ts'
import { Fault } from '../errors.ts'
import { metadataAddresses, readKeySet, readKeySetAddress, selectKey } from './jwks.ts'
import type { FetchDocument } from './jwks-fetch.ts'
import type { VerificationKey } from './token-algorithms.ts'
import type { ParseJson } from './token-format.ts'

/** A key set is read again after so long: as its issuer says, within these bounds. */
export const keysFreshMs = { least: 60_000, usual: 600_000, most: 3_600_000 } as const
/** While the issuer cannot be reached, the keys that were read are used for so long, and then nobody is let in. */
export const keysAgeMax = 6 * 3_600_000
/** A token that names a key we do not know makes us look again, at most so often, whoever sends how many. */
export const lookAgainMs = 30_000
/** An issuer that could not be reached is tried again after so long. */
export const tryAgainMs = 5_000

export interface IssuerKeysParts {
  readonly issuer: string
  /** Where the key set is. `undefined`: where the metadata of the issuer says. */
  readonly keySetUrl: string | undefined
  readonly fetch: FetchDocument
  readonly parse: ParseJson
  readonly clock: Clock
  /** Told once for each outage. */
  readonly report: (cause: unknown) => void
}

/**
 * The keys of one issuer, as its key set has them. Nothing in a token leads it anywhere: the address is that of the
 * configuration, or of the issuer's metadata.
 */
export class IssuerKeys {
  readonly #parts: IssuerKeysParts
  #keys: readonly VerificationKey[] | undefined
  #readAt: Instant = Number.NEGATIVE_INFINITY
  #freshUntil: Instant = Number.NEGATIVE_INFINITY
  #askedAt: Instant = Number.NEGATIVE_INFINITY
  #failed: unknown
  #asking: Promise<void> | undefined

  constructor(parts: IssuerKeysParts) {
    this.#parts = parts
  }

  /**
   * The key that signs such tokens, or `undefined` where the issuer has none. Throws or rejects with
   * `Fault('store.unavailable')` where it could not be asked: an outage is not the caller's bad token.
   */
  find(kid: string | undefined, algorithm: string): Awaitable<VerificationKey | undefined> {
    const now = this.#parts.clock()
    const found = this.#usable(now) && selectKey(this.#keys ?? [], kid, algorithm)
    if (found) {
      // What we have is good; that it is renewed need not wait.
      if (now >= this.#freshUntil && this.#mayAsk(now, tryAgainMs)) void this.#ask()
      return found
    }
    return this.#findAnew(kid, algorithm, now)
  }

  async #findAnew(kid: string | undefined, algorithm: string, now: Instant): Promise<VerificationKey | undefined> {
    const pause = this.#failed === undefined && this.#usable(now) ? lookAgainMs : tryAgainMs
    if (this.#asking !== undefined || this.#mayAsk(now, pause)) await this.#ask()
    if (this.#failed !== undefined || !this.#usable(this.#parts.clock()))
      throw new Fault('store.unavailable', { reason: 'issuer', retryAfterMs: tryAgainMs })
    return selectKey(this.#keys ?? [], kid, algorithm)
  }

  /** A clock that was set back leaves the age of the keys unknown: then they are read again. */
  #usable(now: Instant): boolean {
    const age = now - this.#readAt
    return this.#keys !== undefined && age >= 0 && age < keysAgeMax
  }

  #mayAsk(now: Instant, pauseMs: number): boolean {
    const age = now - this.#askedAt
    return this.#asking === undefined && (age < 0 || age >= pauseMs)
  }

  #ask(): Promise<void> {
    this.#asking ??= this.#read().finally(() => {
      this.#asking = undefined
    })
    return this.#asking
  }

  async #read(): Promise<void> {
    const { clock, parse, report, fetch } = this.#parts
    this.#askedAt = clock()
    try {
      const { bytes, maxAgeMs = keysFreshMs.usual } = await fetch(await this.#address())
      const keys = readKeySet(bytes, parse)
      if (keys === undefined) throw new Error('the key set cannot be read')
      this.#keys = keys
      this.#readAt = clock()
      this.#freshUntil = this.#readAt + Math.min(Math.max(maxAgeMs, keysFreshMs.least), keysFreshMs.most)
      this.#failed = undefined
    } catch (cause) {
      if (this.#failed === undefined) report(cause)
      this.#failed = cause ?? new Error('unknown')
    }
  }

  async #address(): Promise<string> {
    const { issuer, keySetUrl, fetch, parse } = this.#parts
    if (keySetUrl !== undefined) return keySetUrl
    let problem: unknown
    for (const place of metadataAddresses(issuer)) {
      try {
        const { bytes } = await fetch(place)
        const address = readKeySetAddress(bytes, issuer, parse)
        if (address !== undefined) return address
        problem = new Error(`${place} names no key set of ${issuer} at its own origin; set jwksUri`)
      } catch (cause) {
        problem = cause
      }
    }
    throw problem
  }
}
