import type { Message } from '../call.ts'
import { Fault } from '../errors.ts'
import { isObject, parseJson } from '../wire/json.ts'
import { parseMessage } from '../wire/json-rpc.ts'
import type { Envelope } from '../wire/revision.ts'
import { progressTokenOf, type Revision } from '../wire/revision.ts'
import { negotiate } from '../wire/revision-2025-11-25.ts'
import { claimedVersion, readClient, readEnvelope, statelessVersion } from '../wire/revision-2026-07-28.ts'
import { readTrace } from '../wire/trace-context.ts'
import type { Guard } from './chain.ts'
import type { Arrival, Decoded } from './gate.ts'

/** Reads the body, bounded. Nothing of it is looked at before. */
export const readBody: Guard<Arrival, { readonly body: Buffer }> = ({ head, gate }) =>
  head.readBody(gate.messageBytesMax).then((body) => ({ body }))

/** Turns the body into one message. The bytes are let go of: what was asked may go on for hours. */
export const decode: Guard<Arrival & { readonly body: Buffer }, Decoded & { readonly body: Buffer }> = ({
  body,
  gate,
}) => ({ message: parseMessage(parseJson(body, gate.bounds)), body: decoded })

const decoded = Buffer.alloc(0)

/**
 * Settles the protocol revision, once. A request that claims a version in its body, or names the stateless revision in
 * its header, is held to that revision whole; the rest speaks one of the stateful revisions.
 */
export const settleRevision: Guard<Arrival & Decoded, { readonly envelope: Envelope }> = ({ head, gate, message }) => {
  const header = head.headers['mcp-protocol-version']
  const named = typeof header === 'string' ? header : undefined
  const claimed = message.kind === 'response' ? undefined : claimedVersion(message.params)
  if (named === statelessVersion || claimed !== undefined || gate.sessions === undefined) {
    return {
      envelope: readEnvelope(message, { ...mirrored(head.headers), 'mcp-protocol-version': named }, gate.stateless),
    }
  }
  return { envelope: statefulEnvelope(message, revisionNamed(gate.stateful, named, message), head.headers) }
}

function mirrored(headers: Arrival['head']['headers']) {
  return {
    'mcp-method': headers['mcp-method'],
    'mcp-name': headers['mcp-name'],
    traceparent: headers['traceparent'],
    tracestate: headers['tracestate'],
  }
}

export function revisionNamed(
  known: ReadonlyMap<string, Revision>,
  named: string | undefined,
  message: Message,
): Revision {
  const opening = message.kind === 'request' && message.method === 'initialize'
  if (opening) return known.get(negotiate(message.params['protocolVersion']))!
  // Without the header the session's own revision holds; bindSession puts it in place.
  const revision = named === undefined ? known.values().next().value : known.get(named)
  if (revision === undefined) {
    throw new Fault('revision.unsupported', {
      data: { supported: [statelessVersion, ...known.keys()], requested: named },
    })
  }
  return revision
}

export function statefulEnvelope(message: Message, revision: Revision, headers: Arrival['head']['headers']): Envelope {
  const params = message.kind === 'response' ? {} : message.params
  const given = params['_meta']
  const meta = isObject(given) ? given : undefined
  const capabilities = params['capabilities']
  return {
    revision,
    client: readClient(params['clientInfo'], isObject(capabilities) ? capabilities : {}),
    progressToken: progressTokenOf(meta),
    logLevel: undefined,
    trace: readTrace(meta, headers),
  }
}
