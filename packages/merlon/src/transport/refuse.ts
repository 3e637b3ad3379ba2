import type { ServerResponse } from 'node:http'
import type { Message } from '../call.ts'
import type { Fault } from '../errors.ts'
import { encodeError, encodeResult } from '../wire/json-rpc.ts'
import { retryAfter } from '../wire/retry-after.ts'
import type { Envelope } from '../wire/revision.ts'
import { encodeToolFailure } from '../wire/tool-failure.ts'
import { corsHeaders } from './answer-headers.ts'
import type { HttpCall } from './http-call.ts'
import type { HttpOptions } from './http-server.ts'

/** A body so small that the connection is worth keeping after a refusal that did not read it. */
const drainBytesMax = 65_536

/**
 * Answers a refusal. Before a message was decoded the body is `{ error, code }`; after, it is a JSON-RPC error with the
 * request's id, and the revision says which status carries it.
 */
export function refuse(
  response: ServerResponse,
  call: HttpCall,
  fault: Fault,
  options: Pick<HttpOptions, 'headers' | 'challenge' | 'problem'>,
): void {
  call.answered()
  if (response.headersSent || response.destroyed) {
    response.destroy()
    return
  }
  const message = call.message as Message | undefined
  const envelope = call.envelope as Envelope | undefined
  const status = envelope === undefined ? fault.spec.http : envelope.revision.status(fault)
  const problem = options.problem?.(fault, call)
  const body = problem ?? refusalBody(fault, message, envelope, call.requestId)
  const head = [
    ...(problem === undefined ? options.headers.json : options.headers.problem),
    'Content-Length',
    String(Buffer.byteLength(body)),
    ...corsHeaders(call.origin, options.headers),
  ]
  if ((status >= 500 || problem !== undefined) && call.requestId !== undefined)
    head.push('X-Request-Id', call.requestId)
  if (status === 401) head.push('WWW-Authenticate', `${options.challenge()}, scope="read write"`)
  if (fault.code === 'scope.missing') {
    const scope = fault.detail.scope === undefined ? '' : `, scope="${fault.detail.scope}"`
    head.push('WWW-Authenticate', `${options.challenge()}, error="insufficient_scope"${scope}`)
  }
  if (fault.detail.allow !== undefined) head.push('Allow', fault.detail.allow)
  if (status === 429 || status === 503) {
    const seconds = retryAfter(fault)
    head.push('Retry-After', String(seconds), ...limitHeaders(fault, seconds))
  }
  if (call.body === undefined && mayBeLarge(call)) head.push('Connection', 'close')
  response.writeHead(status, head)
  response.end(body)
}

/** The body of a refusal; pure, so that it can be compared byte for byte. */
export function refusalBody(
  fault: Fault,
  message: Message | undefined,
  envelope: Envelope | undefined,
  requestId: string | undefined,
): string {
  const { code, rpc } = fault.spec
  // To the model that filled them in, wrong arguments are a result it can learn from (server/tools, "Error Handling").
  if (fault.code === 'arguments.invalid' && envelope !== undefined && isToolCall(message)) {
    return encodeResult(message.id, envelope.revision.result(encodeToolFailure(fault.sentence)))
  }
  const inProtocol = message !== undefined || (rpc <= -32_000 && rpc >= -32_768 && fault.code !== 'internal')
  if (!inProtocol) {
    return JSON.stringify(
      fault.code === 'internal' ? { error: fault.sentence, code, requestId } : { error: fault.sentence, code },
    )
  }
  return encodeError(message?.kind === 'request' ? message.id : undefined, {
    code: envelope === undefined ? rpc : envelope.revision.rpcCode(fault),
    message: fault.sentence,
    data: fault.code === 'internal' ? { code, requestId } : { code, ...fault.detail.data },
  })
}

/** What the limit is, and that nothing of it is left (draft-ietf-httpapi-ratelimit-headers §3 and §4). */
function limitHeaders({ detail: { limit } }: Fault, seconds: number): readonly string[] {
  if (limit === undefined) return []
  const policy = `"${limit.name}";q=${limit.callsMax};w=${Math.ceil(limit.windowMs / 1_000)}`
  return ['RateLimit-Policy', policy, 'RateLimit', `"${limit.name}";r=0;t=${seconds}`]
}

function isToolCall(message: Message | undefined): message is Extract<Message, { kind: 'request' }> {
  return message?.kind === 'request' && message.method === 'tools/call'
}

function mayBeLarge(call: HttpCall): boolean {
  const length = call.headers['content-length']
  if (call.headers['transfer-encoding'] !== undefined) return true
  return length !== undefined && Number(length) > drainBytesMax
}
