import { Fault } from '../errors.ts'
import type { Guard } from './chain.ts'
import type { Arrival } from './gate.ts'

const noPage: { readonly origin: string | undefined } = Object.freeze({ origin: undefined })

/**
 * Refuses a page that is not on the list, exactly, on every path and method. A browser names its page in every request
 * that could do something; other programs name none, and pass. `null`, other schemes and look-alikes are on no list.
 */
export const checkOrigin: Guard<Arrival, { readonly origin: string | undefined }> = ({ head, gate }) => {
  const { origin } = head.headers
  if (origin === undefined) {
    // A second layer: an old or odd browser that hides its origin still says that it came from another site.
    const cross = head.headers['sec-fetch-site'] === 'cross-site' && head.verb !== 'GET' && gate.origins !== undefined
    if (cross) throw new Fault('origin.refused', { reason: 'sec-fetch-site' })
    return noPage
  }
  if (gate.origins === undefined) return noPage
  if (!gate.origins.has(origin)) throw new Fault('origin.refused')
  return { origin }
}
