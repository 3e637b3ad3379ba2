import { Fault } from '../errors.ts'
import { type Guard, proved } from './chain.ts'
import type { Arrival } from './gate.ts'

/**
 * Refuses a POST that is not plainly JSON, which is also the barrier to cross-site forms, and a client that cannot read
 * both forms of an answer (Streamable HTTP, "Sending Messages").
 */
export const checkMedia: Guard<Arrival, object> = (call) => {
  checkJson(call)
  const { accept } = call.head.headers
  if (!accepts(accept, 'application', 'json') || !accepts(accept, 'text', 'event-stream'))
    throw new Fault('accept.unsuitable')
  return proved
}

/** Refuses a body that is not plainly JSON. */
export const checkJson: Guard<Arrival, object> = ({ head: { headers } }) => {
  const type = headers['content-type']
  if (type !== 'application/json' && !(type !== undefined && jsonPattern.test(type)))
    throw new Fault('media-type.refused')
  const encoding = headers['content-encoding']
  if (encoding !== undefined && encoding.toLowerCase() !== 'identity') throw new Fault('media-type.refused')
  return proved
}

/** Refuses a GET that does not ask for a stream. */
export const checkStreamAccept: Guard<Arrival, object> = ({ head }) => {
  if (!accepts(head.headers.accept, 'text', 'event-stream')) throw new Fault('accept.unsuitable')
  return proved
}

const jsonPattern = /^application\/json(?: *; *charset=(?:utf-8|"utf-8"))?$/i

/** Whether an Accept header admits a media type (RFC 9110 §12.5.1). A range with `q=0` does not. */
export function accepts(accept: string | undefined, type: string, subtype: string): boolean {
  if (accept === undefined || accept === '*/*') return true
  if (accept === both) return true
  for (const range of accept.toLowerCase().split(',')) {
    const [media = '', ...parameters] = range.split(';')
    const name = media.trim()
    if (name !== `${type}/${subtype}` && name !== `${type}/*` && name !== '*/*') continue
    if (!parameters.some((parameter) => /^\s*q=0(?:\.0{1,3})?\s*$/.test(parameter))) return true
  }
  return false
}

const both = 'application/json, text/event-stream'
