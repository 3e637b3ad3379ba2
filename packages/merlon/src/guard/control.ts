import type { Principal } from '../call.ts'
import { Fault } from '../errors.ts'
import { parseJson } from '../wire/json.ts'
import { type Guard, proved } from './chain.ts'
import { checkJson } from './check-media.ts'
import type { Arrival, Authenticated } from './gate.ts'

/*
 * Guards of the control plane alone. What they ask for is settled by the route, so it is given when the chain is made.
 */

/** Bounds on a body that names a few fields: far below those of MCP. */
const bounds = { depthMax: 16, nodesMax: 5_000 }

const safe = new Set(['GET', 'HEAD', 'OPTIONS'])

/**
 * Refuses a change that a page of another site asks for, also one that is of this site only by its name: a page on another
 * port of this machine. No cookie is ever taken, so this is a second layer.
 */
export const checkSite: Guard<Arrival, object> = ({ head }) => {
  const site = head.headers['sec-fetch-site']
  if (site !== undefined && site !== 'same-origin' && site !== 'none' && !safe.has(head.verb))
    throw new Fault('origin.refused', { reason: 'sec-fetch-site' })
  return proved
}

/** Whoever reached the socket of the data folder. A credential is refused there: it would not decide anything. */
export function actAs(principal: Principal): Guard<Arrival, Authenticated> {
  const proof = { principal }
  return ({ head: { headers } }) => {
    if (headers.authorization !== undefined || headers['x-api-key'] !== undefined)
      throw new Fault('credential.doubled', { reason: 'local' })
    return proof
  }
}

/** A socket of the data folder has no address. */
export const localAddress: Guard<Arrival, { readonly address: string }> = () => fromHere
const fromHere = Object.freeze({ address: 'local' })

/** Refuses who may not do what the route is for, before a byte of the body is read. */
export function permit(check: (principal: Principal) => void): Guard<Authenticated, object> {
  return ({ principal }) => {
    check(principal)
    return proved
  }
}

/** Reads a body of JSON, or none where the request carries none. */
export function readJson(bytesMax: number): Guard<Arrival, { readonly body: Buffer }> {
  return (call) => {
    const { headers } = call.head
    const empty = headers['transfer-encoding'] === undefined && Number(headers['content-length'] ?? '0') === 0
    if (empty) return nothing
    checkJson(call)
    return call.head.readBody(bytesMax).then((body) => ({ body }))
  }
}
const nothing = Object.freeze({ body: Buffer.alloc(0) })

/** Decodes the body by the strict reader. Without a body there is no value. */
export const decodeJson: Guard<{ readonly body: Buffer }, { readonly input: unknown }> = ({ body }) => {
  if (body.length === 0) return noInput
  try {
    return { input: parseJson(body, bounds) }
  } catch (thrown) {
    // The words of the table are those of a JSON-RPC message.
    if (!(thrown instanceof Fault) || thrown.code !== 'request.invalid') throw thrown
    const { reason } = thrown.detail
    throw new Fault('fields.invalid', { ...(reason && { reason }), data: { errors: [notTaken] } })
  }
}
const noInput = Object.freeze({ input: undefined })
const notTaken = {
  path: 'body',
  says: 'a key that is said twice, or too much',
  expected: `JSON, each key once, at most ${bounds.depthMax} deep`,
}
