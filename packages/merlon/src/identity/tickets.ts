import { hash } from 'node:crypto'
import type { Instant, Principal, RandomBytes } from '../call.ts'
import { Fault } from '../errors.ts'
import type { Scheme } from './verdict.ts'

/** What a ticket stands for, in the memory of this process and nowhere else. */
export interface TicketHolder {
  readonly credential: string
  readonly scheme: Scheme
  /** The binding of the principal that asked for it. */
  readonly binding: string
}

interface Held extends TicketHolder {
  readonly origin: string | undefined
  readonly endsAt: Instant
}

/** How long a ticket is good. */
export const ticketMs = 30_000
const perPrincipalMax = 10

/**
 * Tickets that stand for a credential where it cannot be sent itself: a page that opens a socket can set no header. Each is
 * good once, for half a minute, for the page that asked for it, and at the server that gave it. Nothing of them is stored.
 */
export class Tickets {
  readonly #random: RandomBytes
  readonly #max: number
  /** By digest, in the order in which they end. */
  readonly #held = new Map<string, Held>()

  constructor(random: RandomBytes, max = 10_000) {
    this.#random = random
    this.#max = max
  }

  /** Gives a ticket. Throws `capacity.exceeded` where the principal, or everybody, holds too many. */
  give(opened: Omit<TicketHolder, 'binding'>, principal: Principal, origin: string | undefined, now: Instant): string {
    this.sweep(now)
    const { binding } = principal
    let own = 0
    for (const held of this.#held.values()) if (held.binding === binding) own++
    if (own >= perPrincipalMax || this.#held.size >= this.#max)
      throw new Fault('capacity.exceeded', { reason: 'tickets', retryAfterMs: ticketMs })
    const ticket = this.#random(32).toString('base64url')
    const { credential, scheme } = opened
    this.#held.set(digestOf(ticket), { credential, scheme, binding, origin, endsAt: now + ticketMs })
    return ticket
  }

  /** Takes a ticket, whatever comes of it: shown again, or by another page, it is none. */
  take(ticket: string, origin: string | undefined, now: Instant): TicketHolder | undefined {
    const digest = digestOf(ticket)
    const held = this.#held.get(digest)
    this.#held.delete(digest)
    return held !== undefined && held.endsAt > now && held.origin === origin ? held : undefined
  }

  /** Forgets the credentials of tickets that nobody took. */
  sweep(now: Instant): void {
    for (const [digest, { endsAt }] of this.#held) if (endsAt <= now) this.#held.delete(digest)
  }
}

function digestOf(ticket: string): string {
  return hash('sha256', ticket, 'base64url')
}
