import type { Change, Params, Principal, RequestId } from '../../call.ts'
import { Fault } from '../../errors.ts'
import { decide } from '../../policy/decide.ts'
import { isObject } from '../../wire/json.ts'
import { encodeNotification } from '../../wire/json-rpc.ts'
import { subscriptionIdKey } from '../../wire/revision-2026-07-28.ts'
import { type Handler, plain } from '../handler.ts'
import type { Services } from '../services.ts'
import type { Turn } from '../turn.ts'

const urisMax = 1_000
/** Of all URIs together: they stay as long as the stream. */
const uriCharsMax = 65_536

/** `subscriptions/listen` (2026-07-28): the answer is a stream that stays open and carries what was asked for, nothing else. */
export const listen: Handler = plain('subscriptions/listen', { scope: 'read' }, (turn) => {
  const { principal } = turn.call
  const { id, params } = turn.call.message
  const filter = params['notifications']
  if (!isObject(filter)) throw new Fault('params.invalid', { says: 'notifications is missing' })
  const wanted = honoured(turn, filter)
  const meta = { [subscriptionIdKey]: id }
  turn.hold(() => subscriptionEnd(turn, id))
  turn.line.notify(
    encodeNotification('notifications/subscriptions/acknowledged', { _meta: meta, notifications: wanted }),
  )
  const stop = turn.services.changes.listen((change) => {
    if (!asked(wanted, change) || turn.done) return
    // Rights may have changed since the stream was opened.
    if (
      change.kind === 'resource' ? !mayRead(turn.services, principal, change.uri) : change.seenBy?.(principal) === false
    )
      return
    if (!decide(principal, { scope: 'read' }).allowed) return
    turn.line.notify(announcement(change, meta))
  })
  turn.onceOver(stop)
  return undefined
})

/** The last message of a subscription that the server ends. */
function subscriptionEnd(turn: Turn, id: RequestId): string {
  const body = turn.call.envelope.revision.result('')
  // The id is the client's: a plain replacement text would give `$&` in it a meaning.
  return body.replace('"_meta":{', () => `"_meta":{"${subscriptionIdKey}":${JSON.stringify(id)},`)
}

interface Wanted extends Params {
  readonly toolsListChanged?: true
  readonly promptsListChanged?: true
  readonly resourcesListChanged?: true
  readonly resourceSubscriptions?: readonly string[]
}

/** The part of the filter that is served: known kinds, and resources that the caller may read. */
function honoured(turn: Turn, filter: Params): Wanted {
  const uris = filter['resourceSubscriptions'] ?? []
  if (!Array.isArray(uris) || !uris.every((uri) => typeof uri === 'string')) {
    throw new Fault('params.invalid', { says: 'resourceSubscriptions is not a list of URIs' })
  }
  if (uris.length > urisMax) throw new Fault('params.invalid', { says: `more than ${urisMax} resource subscriptions` })
  if (uris.reduce((chars: number, uri: string) => chars + uri.length, 0) > uriCharsMax)
    throw new Fault('params.invalid', { says: `resourceSubscriptions longer than ${uriCharsMax} characters` })
  const readable = uris.filter((uri) => mayRead(turn.services, turn.call.principal, uri))
  return {
    ...(filter['toolsListChanged'] === true ? { toolsListChanged: true } : {}),
    ...(filter['promptsListChanged'] === true ? { promptsListChanged: true } : {}),
    ...(filter['resourcesListChanged'] === true ? { resourcesListChanged: true } : {}),
    ...(readable.length > 0 ? { resourceSubscriptions: readable } : {}),
  }
}

/** Whether the principal may read the resource now. */
export function mayRead({ catalog }: Services, principal: Principal, uri: string): boolean {
  const found = catalog().findResource(uri)
  return found !== undefined && decide(principal, found.resource.requirement).allowed
}

function asked(wanted: Wanted, change: Change): boolean {
  switch (change.kind) {
    case 'tools':
      return wanted.toolsListChanged === true
    case 'prompts':
      return wanted.promptsListChanged === true
    case 'resources':
      return wanted.resourcesListChanged === true
    case 'resource':
      return wanted.resourceSubscriptions?.includes(change.uri) === true
  }
}

/** A change as a notification; `meta` names the subscription that it is for. */
export function announcement(change: Change, meta: Params | undefined): string {
  const params = meta === undefined ? {} : { _meta: meta }
  return change.kind === 'resource'
    ? encodeNotification('notifications/resources/updated', { ...params, uri: change.uri })
    : encodeNotification(`notifications/${change.kind}/list_changed`, params)
}
