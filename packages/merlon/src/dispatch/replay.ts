import type { Params, Principal, RequestId } from '../call.ts'
import { Fault } from '../errors.ts'
import type { Target } from '../method.ts'
import { decide } from '../policy/decide.ts'
import { isObject } from '../wire/json.ts'
import { encodeError } from '../wire/json-rpc.ts'
import type { Revision } from '../wire/revision.ts'
import { faultBody } from './line.ts'
import { mayRead } from './methods/subscriptions.ts'
import type { Request } from './ready.ts'
import type { Services } from './services.ts'

/** What a stream answers: the request, as far as it takes to answer it and to decide on it again. */
export interface About {
  readonly id: RequestId
  readonly method: string
  /** The parameters that say what it is about. */
  readonly params: Params
}

/** Longer than what it takes to name a thing. */
const namesMax = 8_192
const naming = ['name', 'uri', 'ref']

export function encodeAbout({ id, method, params }: Request): string {
  const names = Object.fromEntries(naming.flatMap((key) => (key in params ? [[key, params[key]]] : [])))
  const about = JSON.stringify({ id, method, params: names } satisfies About)
  // Without what it is about nobody can decide on it again, and nobody gets it a second time.
  return about.length <= namesMax ? about : JSON.stringify({ id, method, params: {} } satisfies About)
}

export function decodeAbout(text: string): About {
  return JSON.parse(text) as About
}

/**
 * Decides again, now, on the request whose answer somebody comes back for (EV-03). Who may not make it any more gets nothing
 * of its answer: a 403 that names the scope where only the credential lacks it, and otherwise the answer for what is not
 * there.
 */
export function checkReplay(services: Services, principal: Principal, about: About): void {
  const target = targetOf(services, about)
  if (target === undefined) throw new Fault('session.unknown', { reason: 'withheld' })
  const decision = decide(principal, target.requirement)
  if (decision.allowed) return
  if (decision.hidden) throw new Fault('session.unknown', { reason: 'withheld', target: target.name })
  const { scope } = decision
  throw new Fault('scope.missing', { says: `Required scope: ${scope}`, scope, data: { scope }, target: target.name })
}

function targetOf({ methods }: Services, { method, params }: About): Target | undefined {
  try {
    return methods.get(method)?.target(params)
  } catch {
    return undefined
  }
}

/** Whether a message of the session's own stream may still be read: news of a resource, where the resource may be. */
export function mayHear(services: Services, principal: Principal): (message: string) => boolean {
  return (message) => {
    if (!message.includes('"notifications/resources/updated"')) return true
    const { method, params } = JSON.parse(message) as { method?: unknown; params?: unknown }
    if (method !== 'notifications/resources/updated') return true
    const uri = isObject(params) ? params['uri'] : undefined
    return typeof uri === 'string' && mayRead(services, principal, uri)
  }
}

/** The answer to a request whose own is lost. */
export function lostAnswer(id: RequestId, revision: Revision, requestId: string): string {
  return encodeError(id, faultBody(new Fault('call.lost'), revision, requestId))
}
