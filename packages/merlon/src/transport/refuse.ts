import type { ServerResponse } from 'node:http'
import type { Message } from '../call.ts'
import { Fault } from '../errors.ts'
import { encodeError, encodeResult } from '../wire/json-rpc.ts'
import { retryAfter } from '../wire/retry-after.ts'
import type { Envelope } from '../wire/revision.ts'
import { encodeToolFailure } from '../wire/tool-failure.ts'
import { addRate, corsHeaders } from './answer-headers.ts'
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
  options: Pick<HttpOptions, 'headers' | 'challenge' | 'proofs' | 'problem' | 'onAnswered'>,
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
  if (status === 401) {
    // A bare challenge where no credential was sent (RFC 6750 §3.1). One that is bad is told as such, and not why.
    const error = fault.code === 'credential.invalid' ? ', error="invalid_token"' : ''
    head.push('WWW-Authenticate', `${options.challenge()}, scope="read write"${error}`)
    if (options.proofs !== undefined) head.push('WWW-Authenticate', `DPoP algs="${options.proofs}"${error}`)
  }
  if (fault.code === 'scope.missing') {
    const scope = fault.detail.scope === undefined ? '' : `, scope="${fault.detail.scope}"`
    head.push('WWW-Authenticate', `${options.challenge()}, error="insufficient_scope"${scope}`)
  }
  if (fault.detail.allow !== undefined) head.push('Allow', fault.detail.allow)
  if (status === 429 || status === 503) {
    const seconds = retryAfter(fault)
    head.push('Retry-After', String(seconds))
    const { limit, remaining = 0 } = fault.detail
    // What is left, but too little for this, grows sooner than Retry-After says; when, is not asked for.
    if (limit !== undefined) options.headers.rate(head, limit, remaining, remaining === 0 ? seconds : undefined)
  }
  if (fault.detail.limit === undefined) addRate(head, call, options.headers)
  if (call.body === undefined && mayBeLarge(call)) head.push('Connection', 'close')
  response.writeHead(status, head)
  response.end(body)
  options.onAnswered?.(call, status, Buffer.byteLength(body))
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

/**
 * The answer on a pipe, where there is nothing beside the message: when to come back stands in it too. `undefined` for what
 * is never answered, a notification and a response (JSON-RPC 2.0 §4.1).
 */
export function refusalLine(
  fault: Fault,
  call: { readonly message: unknown; readonly envelope: unknown; readonly requestId: string | undefined },
): string | undefined {
  const message = call.message as Message | undefined
  if (message === undefined) {
    const { code, rpc } = fault.spec
    return encodeError(undefined, { code: rpc, message: fault.sentence, data: { code } })
  }
  if (message.kind !== 'request') return undefined
  const { http } = fault.spec
  const told =
    http === 429 || http === 503
      ? new Fault(fault.code, { ...fault.detail, data: { ...fault.detail.data, retryAfter: retryAfter(fault) } })
      : fault
  return refusalBody(told, message, call.envelope as Envelope | undefined, call.requestId)
}

function isToolCall(message: Message | undefined): message is Extract<Message, { kind: 'request' }> {
  return message?.kind === 'request' && message.method === 'tools/call'
}

function mayBeLarge(call: HttpCall): boolean {
  const length = call.headers['content-length']
  if (call.headers['transfer-encoding'] !== undefined) return true
  return length !== undefined && Number(length) > drainBytesMax
}
