import type { Awaitable, Principal } from '../call.ts'
import { Fault } from '../errors.ts'
import type { Scheme, Verdict } from '../identity/verdict.ts'
import type { Refused, Taken } from '../limit/limit-store.ts'
import type { Guard } from './chain.ts'
import type { Arrival, Authenticated } from './gate.ts'
import { addressBucket } from './proxy-ranges.ts'

type Needs = Arrival & { readonly address: string; readonly requestId: string }

const credentialLengthMax = 8_192

/**
 * Establishes who is calling, from `Authorization` (`Bearer` or `DPoP`) or `X-API-Key` and from nowhere else. Two
 * credentials are refused; one that is unknown, expired, revoked or malformed gets one and the same answer. Failures are
 * counted by address, and by key from there: beyond the limit guesses are answered 429 and the wait between them doubles, while a good
 * credential from there still passes.
 */
export const authenticate: Guard<Needs, Authenticated> = (call) => {
  const { gate, head } = call
  const { authorization } = head.headers
  const scheme = authorization === undefined ? 'header' : schemeOf(authorization)
  const credential = credentialOf(head.headers, scheme)
  if (credential === undefined) throw new Fault('credential.missing')
  if (credential.length > credentialLengthMax)
    return admit(call, { ok: false, reason: 'length', credential: undefined })
  const verdict = gate.verify(credential, call, scheme)
  return verdict instanceof Promise ? verdict.then((later) => admit(call, later)) : admit(call, verdict)
}

/** Whom the credential stands for; what is not good is counted and refused. */
export function admit({ gate, address }: Needs, verdict: Verdict): Awaitable<{ principal: Principal }> {
  if (verdict.ok) return { principal: verdict.principal }
  const { reason, credential } = verdict
  if (verdict.counted) throw new Fault('credential.invalid', { reason, credential })
  const refuse = (answer: Taken | Refused): never => {
    if (answer.ok) throw new Fault('credential.invalid', { reason, credential })
    const { limit, retryAfterMs } = answer
    throw new Fault('rate.exceeded', { retryAfterMs, reason: 'failed-authentication', limit, credential })
  }
  const answer = gate.limiter.takeFailure(addressBucket(address), credential, gate.steadyClock())
  return answer instanceof Promise ? answer.then(refuse) : refuse(answer)
}

/** What was shown, for who has to show it again. */
export function shownCredential(headers: Arrival['head']['headers']): {
  readonly credential: string | undefined
  readonly scheme: Scheme
} {
  const { authorization } = headers
  const scheme = authorization === undefined ? 'header' : schemeOf(authorization)
  return { credential: credentialOf(headers, scheme), scheme }
}

/** The one credential of a request. An empty one is a bad one, not a missing one. */
function credentialOf(headers: Arrival['head']['headers'], scheme: Scheme): string | undefined {
  const { authorization } = headers
  const apiKey = headers['x-api-key']
  if (authorization === undefined) return typeof apiKey === 'string' || apiKey === undefined ? apiKey : ''
  if (apiKey !== undefined) throw new Fault('credential.doubled')
  if (scheme === 'header') return ''
  return authorization.slice(scheme === 'bearer' ? 7 : 5)
}

/** `header` for an Authorization that is neither `Bearer` nor `DPoP` (RFC 9449 §7.1). */
function schemeOf(authorization: string): Scheme {
  if (authorization.charCodeAt(6) === 0x20)
    return authorization.slice(0, 6).toLowerCase() === 'bearer' ? 'bearer' : 'header'
  const proven = authorization.charCodeAt(4) === 0x20 && authorization.slice(0, 4).toLowerCase() === 'dpop'
  return proven ? 'dpop' : 'header'
}
