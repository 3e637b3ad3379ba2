import type { Clock } from '../call.ts'
import type { LoginLimiter } from '../identity/login-throttle.ts'
import { type LimitStore, limitOf, takeOf } from '../limit/limit-store.ts'

/** Counts attempts to sign in where calls are counted, so that replicas that share limits share these too. */
export function loginLimits(
  store: () => LimitStore,
  { attemptsMax: callsMax, windowMs }: { readonly attemptsMax: number; readonly windowMs: number },
  /** Whole milliseconds that no setting of the clock moves. */
  steadyClock: Clock,
): LoginLimiter {
  const limitFor = (name: string) => limitOf({ name, callsMax, windowMs, told: false, anybody: true })
  const limits = {
    account: limitFor('login-account'),
    address: limitFor('login-address'),
    pair: limitFor('login-known-address'),
  }
  const takesOf = (buckets: Parameters<LoginLimiter['take']>[0]) =>
    buckets.map(({ per, name }) => takeOf(limits[per], [name]))
  return {
    async take(buckets) {
      const taken = await store().take(takesOf(buckets), steadyClock())
      return taken.ok ? 0 : taken.retryAfterMs
    },
    giveBack: (buckets) => store().giveBack(takesOf(buckets), steadyClock()),
  }
}
