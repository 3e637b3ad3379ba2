import { hash } from 'node:crypto'
import type { Awaitable, Clock, Instant, Principal, Vouched } from '../call.ts'
import { Fault } from '../errors.ts'
import { tryAgainMs } from './introspection.ts'
import type { OpaqueTokens, Standing, TrustedIssuer } from './issuer.ts'
import { rightsOf } from './principal.ts'
import { Recent } from './recent.ts'
import { type Admissible, type AdmissionParts, admitShown, refusedToken } from './token-admission.ts'
import { type Binding, type HeldClaims, holdClaims } from './token-claims.ts'
import type { JsonObject } from './token-format.ts'
import type { Door, Scheme, Shown, Verdict } from './verdict.ts'

/** How long the yes of an issuer is taken for one. */
export const yesMs = 30_000
/** What goes on with a token has the issuer asked again after so long. */
export const renewedAfterMs = 15_000
const opaquePattern = /^[A-Za-z0-9._~+/-]{16,2048}={0,2}$/

export interface OpaqueVerifierParts extends AdmissionParts {
  readonly door: Door
  /** The one issuer that is asked. */
  readonly issuer: TrustedIssuer
  readonly opaque: OpaqueTokens
  readonly clock: Clock
  /** Milliseconds that no setting of the clock moves. */
  readonly steadyClock: Clock
  /** How many yeses are remembered. Default 10,000. */
  readonly rememberedMax?: number
}

/**
 * Whether a text may be a token that its issuer alone can read: of the form that RFC 6750 §2.1 has for tokens, and nothing that
 * begins like a signed or encrypted one (RFC 7515, RFC 7516), whatever follows.
 */
export function isOpaque(text: string): boolean {
  return opaquePattern.test(text) && !(text.includes('.') && Buffer.from(text.slice(0, 4), 'base64url')[0] === 0x7b)
}

/**
 * Answers who an opaque token stands for, as its issuer says when it is asked. A yes is remembered, for half a minute and no
 * longer than the token lives; a no is not, and ends what there was of a yes. While the issuer does not answer nobody is let in on what
 * it said before. Whether the subject still stands, and what the token is bound to, is asked on every call.
 */
export class OpaqueVerifier {
  readonly #parts: OpaqueVerifierParts
  readonly #memory: Recent<Yes>
  readonly #asking = new Map<string, Promise<Yes | string>>()

  constructor(parts: OpaqueVerifierParts) {
    this.#parts = parts
    this.#memory = new Recent(parts.rememberedMax ?? 10_000)
  }

  /** Throws or rejects with a Fault of ours, and never for what a text says. */
  verify(text: string, scheme: Scheme, shown: Shown): Awaitable<Verdict> {
    if (!isOpaque(text)) return refusedToken('opaque')
    const { issuer, door, clock } = this.#parts
    if (issuer.audience(door) === undefined) return refusedToken('audience')
    const digest = hash('sha256', text)
    const known = this.#memory.get(digest)
    if (known?.stands === true) return admitShown(known, { text, scheme, shown }, this.#parts, clock())
    return this.#verifyAnew(text, digest, known, scheme, shown)
  }

  async #verifyAnew(
    text: string,
    digest: string,
    known: Yes | undefined,
    scheme: Scheme,
    shown: Shown,
  ): Promise<Verdict> {
    const underway = this.#asking.get(digest)
    // Nobody guesses a token that was good: whoever shows it again may ask, however many failures their neighbours had.
    const asks = underway === undefined && known === undefined
    const answer = await (underway ?? this.#ask(text, digest, asks ? shown.address : undefined, known))
    if (answer instanceof Yes) return admitShown(answer, { text, scheme, shown }, this.#parts, this.#parts.clock())
    const refused = refusedToken(answer)
    return asks && answer === inactive ? { ...refused, counted: true } : refused
  }

  /** Asks once, however many ask for it at a time. */
  #ask(text: string, digest: string, address: string | undefined, known: Yes | undefined): Promise<Yes | string> {
    const asking = this.#hear(text, digest, address, known).finally(() => this.#asking.delete(digest))
    this.#asking.set(digest, asking)
    return asking
  }

  async #hear(
    text: string,
    digest: string,
    address: string | undefined,
    known: Yes | undefined,
  ): Promise<Yes | string> {
    const { opaque, clock, steadyClock } = this.#parts
    // The yes is as old as the question: what was withdrawn after it was asked may not be in the answer.
    const askedAt = steadyClock()
    if (known?.isTriedAt(askedAt)) throw new Fault('store.unavailable', { reason: 'issuer', retryAfterMs: tryAgainMs })
    const said = await opaque.introspection.ask(text, address)
    let answer: HeldYes | string
    try {
      answer = said === undefined ? inactive : this.#hold(said, clock())
    } catch (thrown) {
      this.#end(digest, known)
      throw thrown
    }
    if (typeof answer === 'string') {
      this.#end(digest, known)
      return answer
    }
    if (known?.isRenewedBy(answer)) {
      known.renew(askedAt, answer)
      this.#memory.set(digest, known)
      return known
    }
    this.#end(digest, known)
    const yes = new Yes(answer, { ...this.#parts, askedAt, askAgain: (yes) => this.#askAgain(text, digest, yes) })
    this.#memory.set(digest, yes)
    return yes
  }

  #askAgain(text: string, digest: string, yes: Yes): void {
    if (this.#asking.has(digest) || this.#parts.opaque.introspection.isBusy) return
    // What could not be asked ends when the last yes runs out.
    this.#ask(text, digest, undefined, yes).catch(() => undefined)
  }

  #end(digest: string, known: Yes | undefined): void {
    this.#memory.get(digest)?.end()
    this.#memory.delete(digest)
    known?.end()
  }

  /** The same claims are asked for as of a token that is signed; the issuer need not name itself, since it was asked. */
  #hold(said: JsonObject, now: Instant): HeldYes | string {
    const { issuer, door, opaque } = this.#parts
    const audience = issuer.audience(door)
    if (audience === undefined) return 'audience'
    const claims = Object.hasOwn(said, 'iss') ? said : { ...said, iss: issuer.issuer }
    if (!isAccessToken(claims)) return 'type'
    const held = holdClaims(claims, { ...issuer, audience }, now)
    if (typeof held === 'string') return held
    if (issuer.bound && held.binding?.to !== 'key') return 'unbound'
    return { issuer: issuer.issuer, held, principal: opaque.principalOf(claims, held) }
  }
}

const inactive = 'inactive'

/** A yes that holds: whom it is about. */
interface HeldYes {
  readonly issuer: string
  readonly held: HeldClaims
  readonly principal: Principal
}

interface YesParts extends Pick<OpaqueVerifierParts, 'clock' | 'steadyClock' | 'opaque'> {
  readonly askedAt: Instant
  /** Has the issuer asked again about the same token. */
  readonly askAgain: (yes: Yes) => void
}

/** What an issuer said of one token, for as long as it stands. */
class Yes implements Admissible, Vouched {
  readonly binding: Binding | undefined
  readonly subject: string
  readonly #parts: YesParts
  #principal: Principal
  #standing: Standing
  #askedAt: Instant
  #triedAt = Number.NEGATIVE_INFINITY
  #endsAt: Instant
  #ended = false

  constructor({ issuer, held, principal }: HeldYes, parts: YesParts) {
    this.#parts = parts
    this.binding = held.binding
    this.subject = `${issuer} ${held.subject}`
    this.#principal = principal
    this.#askedAt = parts.askedAt
    this.#endsAt = held.endsAt
    this.#standing = this.#standingOf(principal, held)
  }

  get standing(): Standing {
    return this.#standing
  }

  get stands(): boolean {
    const { clock, steadyClock } = this.#parts
    return !this.#ended && steadyClock() - this.#askedAt < yesMs && clock() < this.#endsAt
  }

  over(): 'withdrawn' | 'unrenewed' | undefined {
    if (this.#ended || this.#parts.clock() >= this.#endsAt) return 'withdrawn'
    if (!this.stands) return 'unrenewed'
    const now = this.#parts.steadyClock()
    if (now - this.#askedAt >= renewedAfterMs && now - this.#triedAt >= tryAgainMs) this.#parts.askAgain(this)
    return undefined
  }

  /** Notes that the issuer is asked now; whether it was asked in vain just before. */
  isTriedAt(now: Instant): boolean {
    if (now - this.#triedAt < tryAgainMs) return true
    this.#triedAt = now
    return false
  }

  /** Whether it says the same of the same: then what goes on with the token may go on. */
  isRenewedBy({ held: { binding }, principal }: HeldYes): boolean {
    return (
      !this.#ended &&
      binding?.to === this.binding?.to &&
      binding?.thumbprint === this.binding?.thumbprint &&
      principal.binding === this.#principal.binding &&
      rightsOf(principal) === rightsOf(this.#principal)
    )
  }

  renew(askedAt: Instant, { held, principal }: HeldYes): void {
    this.#askedAt = askedAt
    this.#triedAt = Number.NEGATIVE_INFINITY
    if (held.endsAt === this.#endsAt) return
    this.#endsAt = held.endsAt
    this.#principal = principal
    this.#standing = this.#standingOf(principal, held)
  }

  end(): void {
    this.#ended = true
  }

  #standingOf(principal: Principal, held: HeldClaims): Standing {
    return this.#parts.opaque.standingOf(Object.freeze({ ...principal, vouched: this }), held)
  }
}

/** An issuer may answer of refresh tokens too, whatever was hinted at (RFC 7662 §2.1). */
function isAccessToken({ token_type: type, token_use: use }: JsonObject): boolean {
  const isType = type === undefined || (typeof type === 'string' && /^(?:bearer|dpop)$/i.test(type))
  return isType && (use === undefined || use === 'access_token' || use === 'access')
}
