import { hash } from 'node:crypto'
import type { Awaitable } from '../call.ts'
import { Fault } from '../errors.ts'

/** Which bucket an attempt is counted in. */
export interface LoginBucket {
  readonly per: 'account' | 'address' | 'pair'
  /** Names no account: a digest of what was typed. */
  readonly name: string
}

/**
 * Counts attempts, 10 in 15 minutes for each bucket, in a store that replicas share. It is given by who wires the parts;
 * this slice does not know how limits are counted.
 */
export interface LoginLimiter {
  /** Takes one from each bucket or from none. Answers how long to wait, 0 where it was taken. */
  take(buckets: readonly LoginBucket[]): Awaitable<number>
  giveBack(buckets: readonly LoginBucket[]): Awaitable<void>
}

export interface LoginAttempt {
  /** What was typed, whether there is such an account or not. */
  readonly account: string
  /** From which network; `undefined` for a caller on this machine, who is not limited by where they are. */
  readonly network: string | undefined
  /** Whether this account has signed in from there before. */
  readonly known: boolean
}

export interface BegunAttempt {
  /** It was no failure, and counts for none. */
  succeeded(): Promise<void>
}

/**
 * Limits guesses at passwords without letting a stranger lock an account (B7).
 *
 * An attempt is counted before the password is looked at, and given back when it was right. From an address that the
 * account has not signed in from, it is counted for the account, whoever tries, and for the address, whatever they try. From
 * an address that it has signed in from, it is counted for the two together and for nothing else: so strangers who use up
 * the account's attempts, or a neighbour at the same address who uses up the address's, do not keep out its owner.
 */
export class LoginThrottle {
  readonly #limiter: LoginLimiter
  /** What one client owns of an address: for IPv6 all of a /64. */
  readonly networkOf: (address: string) => string

  constructor(limiter: LoginLimiter, networkOf: (address: string) => string) {
    this.#limiter = limiter
    this.networkOf = networkOf
  }

  /** Counts an attempt, or throws `Fault('rate.exceeded')`. */
  async begin({ account, network, known }: LoginAttempt): Promise<BegunAttempt> {
    const buckets = bucketsOf(hash('sha256', account, 'base64url'), network, known)
    const retryAfterMs = await this.#limiter.take(buckets)
    if (retryAfterMs > 0) throw new Fault('rate.exceeded', { retryAfterMs, reason: 'login' })
    return {
      succeeded: async () => this.#limiter.giveBack(buckets),
    }
  }
}

function bucketsOf(account: string, network: string | undefined, known: boolean): readonly LoginBucket[] {
  if (network === undefined) return [{ per: 'account', name: account }]
  if (known) return [{ per: 'pair', name: `${account} ${network}` }]
  return [
    { per: 'account', name: account },
    { per: 'address', name: network },
  ]
}
