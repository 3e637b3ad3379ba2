import type { Params } from '../../call.ts'
import type { Catalog, FoundResource } from '../../catalog/catalog.ts'
import type { ResourceBody } from '../../catalog/define.ts'
import { Fault } from '../../errors.ts'
import type { Target } from '../../method.ts'
import type { Session } from '../../session/session-store.ts'
import { Context } from '../context.ts'
import type { Handler } from '../handler.ts'
import { checkRetry } from '../questions.ts'
import type { Turn } from '../turn.ts'

interface ResourceTarget extends Target {
  readonly uri: string
  readonly found: FoundResource
}

const subscriptionsMax = 1_000
/** Of all URIs together: a session is remembered for hours. */
const subscriptionCharsMax = 65_536

export function resourceHandlers(catalog: () => Catalog): readonly Handler[] {
  const common = {
    audit: 'access' as const,
    needsSession: true,
    target({ uri }: Params): ResourceTarget | undefined {
      if (typeof uri !== 'string') throw new Fault('params.invalid', { says: 'uri is missing' })
      const found = catalog().findResource(uri)
      return found === undefined
        ? undefined
        : { uri, found, requirement: found.resource.requirement, name: found.resource.name }
    },
    unknown: ({ uri }: Params) => notFound(uri),
  }
  return [
    { ...common, name: 'resources/read', run: read },
    { ...common, name: 'resources/subscribe', run: (turn) => subscribe(turn, true) },
    { ...common, name: 'resources/unsubscribe', run: (turn) => subscribe(turn, false) },
  ]
}

function notFound(uri: unknown): Fault {
  return new Fault('resource.unknown', { data: { uri } })
}

async function read(turn: Turn): Promise<string> {
  const { uri, found } = turn.call.target as ResourceTarget
  const { inputResponses, requestState } = turn.call.message.params
  if (!turn.call.envelope.revision.stateful && (inputResponses ?? requestState) !== undefined) checkRetry(turn)
  const { resource, variables } = found
  let body: ResourceBody | undefined
  try {
    body = await resource.read(uri, variables, new Context(turn))
  } catch (thrown) {
    throw thrown instanceof Fault ? thrown : new Fault('internal', { cause: thrown })
  }
  if (body === undefined) throw notFound(uri)
  const contents = contentsOf(body, uri, resource.mimeType)
  return turn.call.envelope.revision.result(`"contents":${JSON.stringify(contents)}`, {
    ttlMs: resource.ttlMs,
    scope: 'private',
  })
}

function contentsOf(body: ResourceBody, uri: string, mimeType: string | undefined): readonly Params[] {
  const head = mimeType === undefined ? { uri } : { uri, mimeType }
  if (typeof body === 'string') return [{ ...head, text: body }]
  if (body instanceof Uint8Array) {
    return [{ ...head, blob: Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('base64') }]
  }
  return body.contents
}

async function subscribe(turn: Turn, wanted: boolean): Promise<string> {
  const { uri } = turn.call.target as ResourceTarget
  const { id } = turn.call.session as Session
  // From what is kept, and not from what this process remembers: the client may have subscribed at another meanwhile.
  const change = ({ subscriptions: before }: Pick<Session, 'subscriptions'>) => {
    const subscriptions = new Set(before)
    if (wanted) subscriptions.add(uri)
    else subscriptions.delete(uri)
    let chars = 0
    for (const kept of subscriptions) chars += kept.length
    if (subscriptions.size > subscriptionsMax || chars > subscriptionCharsMax)
      throw new Fault('capacity.exceeded', { reason: 'subscriptions' })
    return { subscriptions }
  }
  await turn.services.sessions?.update(id, change, turn.services.clock())
  return turn.call.envelope.revision.result('')
}
