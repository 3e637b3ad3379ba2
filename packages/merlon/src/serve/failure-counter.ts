import type { Clock } from '../call.ts'
import { Fault } from '../errors.ts'
import { addressBucket } from '../guard/proxy-ranges.ts'
import type { FailureCounter } from '../identity/introspection.ts'
import type { Refused, Taken } from '../limit/limit-store.ts'
import type { Limiter } from '../limit/limiter.ts'

/** Counts failures that may be none where `authenticate` counts those that are: both use up the same guesses. */
export function failureCounter(
  limiter: Pick<Limiter, 'takeFailure' | 'giveBackFailure'>,
  steadyClock: Clock,
): FailureCounter {
  const passed = (answer: Taken | Refused): void => {
    if (answer.ok) return
    const { limit, retryAfterMs } = answer
    throw new Fault('rate.exceeded', { retryAfterMs, reason: 'failed-authentication', limit })
  }
  return {
    networkOf: addressBucket,
    take(network) {
      const answer = limiter.takeFailure(network, undefined, steadyClock())
      return answer instanceof Promise ? answer.then(passed) : passed(answer)
    },
    giveBack(network) {
      // Where the store cannot be reached the failure stands: it wears off.
      void (async () => limiter.giveBackFailure(network, steadyClock()))().catch(() => undefined)
    },
  }
}
