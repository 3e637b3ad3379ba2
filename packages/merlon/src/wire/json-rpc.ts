import type { Message, Params, RequestId, ResponseError } from '../call.ts'
import { Fault } from '../errors.ts'
import { isObject } from './json.ts'

const noParams: Params = Object.freeze({})
const idLengthMax = 256
const methodLengthMax = 128

/**
 * Reads one JSON-RPC 2.0 message: a request, a notification or a response. Keys are exact and case-sensitive; an unknown
 * key, a batch, `params` that is not an object, or an id that is not a string (≤ 256) or a safe integer is a Fault.
 */
export function parseMessage(value: unknown): Message {
  if (!isObject(value) || value['jsonrpc'] !== '2.0') throw invalid('envelope')
  const method = value['method']
  if (method === undefined) return parseResponse(value)
  if (typeof method !== 'string' || method.length === 0 || method.length > methodLengthMax) throw invalid('method')
  let id: RequestId | undefined
  let params: Params = noParams
  for (const key in value) {
    switch (key) {
      case 'jsonrpc':
      case 'method':
        break
      case 'id':
        id = parseId(value['id'])
        break
      case 'params': {
        const given = value['params']
        if (!isObject(given)) throw invalid('params')
        params = given
        break
      }
      default:
        throw invalid('unknown-key')
    }
  }
  return id === undefined ? { kind: 'notification', method, params } : { kind: 'request', id, method, params }
}

function parseResponse(value: Record<string, unknown>): Message {
  for (const key in value) {
    if (key !== 'jsonrpc' && key !== 'id' && key !== 'result' && key !== 'error') throw invalid('unknown-key')
  }
  const id = parseId(value['id'])
  const { result, error } = value
  if (result !== undefined && error === undefined && isObject(result)) return { kind: 'response', id, result }
  if (error !== undefined && result === undefined && isError(error)) return { kind: 'response', id, error }
  throw invalid('response')
}

function parseId(id: unknown): RequestId {
  if (isRequestId(id)) return id
  throw invalid('id')
}

/** Whether a request can have this id. */
export function isRequestId(id: unknown): id is RequestId {
  return typeof id === 'string' ? id.length <= idLengthMax : Number.isSafeInteger(id)
}

function isError(error: unknown): error is ResponseError {
  return isObject(error) && Number.isSafeInteger(error['code']) && typeof error['message'] === 'string'
}

function invalid(reason: string): Fault {
  return new Fault('request.invalid', { reason })
}

/** The answer to a request; `result` is JSON text already. */
export function encodeResult(id: RequestId, result: string): string {
  return typeof id === 'number'
    ? `{"jsonrpc":"2.0","id":${id},"result":${result}}`
    : `{"jsonrpc":"2.0","id":${JSON.stringify(id)},"result":${result}}`
}

/** An error; `id` is absent where the request's could not be read. */
export function encodeError(id: RequestId | undefined, error: ResponseError): string {
  const body = JSON.stringify(error)
  return id === undefined
    ? `{"jsonrpc":"2.0","error":${body}}`
    : `{"jsonrpc":"2.0","id":${JSON.stringify(id)},"error":${body}}`
}

export function encodeNotification(method: string, params: Params): string {
  return `{"jsonrpc":"2.0","method":${JSON.stringify(method)},"params":${JSON.stringify(params)}}`
}

export function encodeRequest(id: RequestId, method: string, params: Params | undefined): string {
  return JSON.stringify(params === undefined ? { jsonrpc: '2.0', id, method } : { jsonrpc: '2.0', id, method, params })
}
