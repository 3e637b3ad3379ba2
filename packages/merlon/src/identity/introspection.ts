import type { Awaitable, Clock, Instant } from '../call.ts'
import { Fault } from '../errors.ts'
import type { PostForm } from './jwks-fetch.ts'
import { Recent } from './recent.ts'
import type { JsonObject, ParseJson } from './token-format.ts'

/** How many questions an issuer is asked at a time, and how many of them to renew what it said before. */
export const questionsMax = { all: 128, renewals: 96, perNetwork: 8 } as const
/** After a question that was not answered, whoever it was asked for is not asked for again for so long. */
export const tryAgainMs = 5_000
/** Where there is no room for a question, there soon is. */
const busyMs = 1_000

/**
 * Counts failed authentications, with those that are counted elsewhere. It is given by who wires the parts; this slice does
 * not know how failures are counted.
 */
export interface FailureCounter {
  /** What one client owns of an address. */
  readonly networkOf: (address: string) => string
  /** Takes one failure before it is known whether it is one. Throws `Fault('rate.exceeded')` where none is left. */
  take(network: string): Awaitable<void>
  /** It was none. */
  giveBack(network: string): void
}

export interface IntrospectionParts {
  readonly url: string
  readonly clientId: string
  readonly clientSecret: string
  readonly post: PostForm
  readonly parse: ParseJson
  readonly failures: FailureCounter
  /** Milliseconds that no setting of the clock moves. */
  readonly steadyClock: Clock
  /** Told once for each outage. */
  readonly report: (cause: unknown) => void
}

/**
 * Asks an issuer what a token is worth (RFC 7662). Whoever shows a token that nobody knows makes us ask, so it is counted as
 * a failed authentication of their address before anything leaves, and given back where it was none: a stranger makes us ask
 * no more often than they may guess. The token leaves in the body of the question, and is in no failure that is told of.
 */
export class Introspection {
  readonly #parts: IntrospectionParts
  readonly #authorization: string
  #underway = 0
  readonly #underwayOf = new Map<string, number>()
  /** When a question for a network was not answered. */
  readonly #unansweredAt = new Recent<Instant>(10_000)
  #failing = false

  constructor(parts: IntrospectionParts) {
    this.#parts = parts
    const pair = `${percentEncoded(parts.clientId)}:${percentEncoded(parts.clientSecret)}`
    this.#authorization = `Basic ${Buffer.from(pair).toString('base64')}`
  }

  /** Whether a question that can wait had better wait. */
  get isBusy(): boolean {
    return this.#underway >= questionsMax.renewals
  }

  /**
   * What the issuer says of an active token; `undefined` where it says that it is not active. `address` is that of whoever
   * shows a token of which nothing is known yet. Throws or rejects with `Fault('store.unavailable')` where it does not answer as it should,
   * or too much is asked at a time: that is not the caller's bad token.
   */
  async ask(token: string, address: string | undefined): Promise<JsonObject | undefined> {
    if (this.#underway >= questionsMax.all) throw unavailable('issuer-busy', busyMs)
    if (address === undefined) return this.#counted(() => this.#say(token))
    const { failures } = this.#parts
    const network = failures.networkOf(address)
    return this.#counted(() => this.#countedOf(network, () => this.#askFor(token, network)))
  }

  async #askFor(token: string, network: string): Promise<JsonObject | undefined> {
    const { failures, steadyClock } = this.#parts
    const unansweredAt = this.#unansweredAt.get(network)
    const waitMs = unansweredAt === undefined ? 0 : unansweredAt + tryAgainMs - steadyClock()
    if (waitMs > 0) throw unavailable('issuer', waitMs)
    await failures.take(network)
    let claims: JsonObject | undefined
    try {
      claims = await this.#say(token)
    } catch (thrown) {
      this.#unansweredAt.set(network, steadyClock())
      failures.giveBack(network)
      throw thrown
    }
    this.#unansweredAt.delete(network)
    if (claims !== undefined) failures.giveBack(network)
    return claims
  }

  async #say(token: string): Promise<JsonObject | undefined> {
    const { url, post, parse, report } = this.#parts
    try {
      const form = new URLSearchParams({ token, token_type_hint: 'access_token' })
      const { bytes } = await post(url, form, this.#authorization)
      const claims = readAnswer(bytes, parse)
      this.#failing = false
      // Nothing but `true` is a yes (RFC 7662 §2.2).
      if (claims['active'] === true) return claims
      if (claims['active'] === false) return undefined
      throw new Error('the answer does not say whether the token is active')
    } catch (cause) {
      if (!this.#failing) report(cause)
      this.#failing = true
      throw unavailable('issuer', tryAgainMs)
    }
  }

  async #counted<Answer>(work: () => Promise<Answer>): Promise<Answer> {
    this.#underway++
    try {
      return await work()
    } finally {
      this.#underway--
    }
  }

  async #countedOf<Answer>(network: string, work: () => Promise<Answer>): Promise<Answer> {
    const underway = this.#underwayOf.get(network) ?? 0
    if (underway >= questionsMax.perNetwork) throw unavailable('issuer-busy', busyMs)
    this.#underwayOf.set(network, underway + 1)
    try {
      return await work()
    } finally {
      const left = this.#underwayOf.get(network)! - 1
      if (left === 0) this.#underwayOf.delete(network)
      else this.#underwayOf.set(network, left)
    }
  }
}

function readAnswer(bytes: Buffer, parse: ParseJson): JsonObject {
  let value: unknown
  try {
    value = parse(bytes)
  } catch {
    // What does not parse is not repeated: it may hold what was asked about.
    throw new Error('the answer is not JSON')
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error('the answer is no object')
  return value as JsonObject
}

/** Client and secret are encoded before they are joined (RFC 6749 §2.3.1). */
function percentEncoded(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`)
}

function unavailable(reason: string, retryAfterMs: number): Fault {
  return new Fault('store.unavailable', { reason, retryAfterMs })
}
