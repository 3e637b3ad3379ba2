import { type Guard, proved } from './chain.ts'
import type { Arrival } from './gate.ts'
import { passed } from './limit-calls.ts'
import { addressBucket } from './proxy-ranges.ts'

/** Takes what is counted by address, or for everyone, before it is worth the work to ask who calls. */
export const limitAddress: Guard<Arrival & { readonly address: string }, object> = ({ gate, address }) => {
  const { limiter } = gate
  if (!limiter.limitsArrivals) return proved
  const answer = limiter.takeArrival(addressBucket(address), gate.steadyClock())
  return answer instanceof Promise ? answer.then(admitted) : admitted(answer)
}

function admitted(answer: Parameters<typeof passed>[0]): object {
  passed(answer)
  return proved
}
