import type { Awaitable, Principal } from '../call.ts'
import { Fault } from '../errors.ts'
import type { Verdict } from '../identity/verdict.ts'
import type { Refused, Taken } from '../limit/limit-store.ts'
import type { Guard } from './chain.ts'
import type { Arrival, Authenticated } from './gate.ts'
import { addressBucket } from './proxy-ranges.ts'

type Needs = Arrival & { readonly address: string; readonly requestId: string }

const credentialLengthMax = 8_192

/**
 * Establishes who is calling, from `Authorization: Bearer` or `X-API-Key` and from nowhere else. Two credentials are
 * refused; one that is unknown, expired, revoked or malformed gets one and the same answer. Failures are counted by
 * address, and by key from there: beyond the limit guesses are answered 429 and the wait between them doubles, while a good
 * credential from there still passes.
 */
export const authenticate: Guard<Needs, Authenticated> = (call) => {
  const { gate, head } = call
  const credential = credentialOf(head.headers)
  if (credential === undefined) throw new Fault('credential.missing')
  if (credential.length > credentialLengthMax)
    return admit(call, { ok: false, reason: 'length', credential: undefined })
  const verdict = gate.verify(credential, call)
  return verdict instanceof Promise ? verdict.then((later) => admit(call, later)) : admit(call, verdict)
}

function admit({ gate, address }: Needs, verdict: Verdict): Awaitable<{ principal: Principal }> {
  if (verdict.ok) return { principal: verdict.principal }
  const { reason, credential } = verdict
  const refuse = (answer: Taken | Refused): never => {
    if (answer.ok) throw new Fault('credential.invalid', { reason, credential })
    const { limit, retryAfterMs } = answer
    throw new Fault('rate.exceeded', { retryAfterMs, reason: 'failed-authentication', limit, credential })
  }
  const answer = gate.limiter.takeFailure(addressBucket(address), credential, gate.steadyClock())
  return answer instanceof Promise ? answer.then(refuse) : refuse(answer)
}

/** The one credential of a request. An empty one is a bad one, not a missing one. */
function credentialOf(headers: Arrival['head']['headers']): string | undefined {
  const { authorization } = headers
  const apiKey = headers['x-api-key']
  if (authorization === undefined) return typeof apiKey === 'string' || apiKey === undefined ? apiKey : ''
  if (apiKey !== undefined) throw new Fault('credential.doubled')
  const bearer =
    authorization.length > 7 &&
    authorization.charCodeAt(6) === 0x20 &&
    authorization.slice(0, 6).toLowerCase() === 'bearer'
  return bearer ? authorization.slice(7) : ''
}
