import { Fault } from '../errors.ts'
import { type Guard, proved } from './chain.ts'
import type { Arrival, Head } from './gate.ts'

const targetBytesMax = 4_096
const headerLinesMax = 100

/** Headers that decide something: a second line of one of them could mean another thing to whoever reads the other. */
const once = new Set([
  'host',
  'authorization',
  'dpop',
  'x-api-key',
  'origin',
  'mcp-session-id',
  'last-event-id',
  'mcp-protocol-version',
  'mcp-method',
  'mcp-name',
  'content-type',
  'content-length',
  'content-encoding',
  'accept',
  'cookie',
  'upgrade',
  'sec-websocket-key',
  'sec-websocket-version',
  'sec-websocket-protocol',
])

/**
 * Refuses a head that is too large, names something other than a plain path, asks for an upgrade, or says twice what may
 * be said once. `node:http` keeps the first of some repeated headers and joins others, so the raw lines are looked at.
 */
export const checkHead: Guard<Arrival, object> = ({ head, gate }) => {
  const lines = checkSize(head)
  if (head.headers.upgrade !== undefined) throw new Fault('target.refused', { reason: 'upgrade' })
  return checkRepeated(head, lines, gate.sessionHeader)
}

/** The same for a request that opens a socket: what it asks to upgrade to is looked at by `checkHandshake`. */
export const checkSocketHead: Guard<Arrival, object> = ({ head, gate }) =>
  checkRepeated(head, checkSize(head), gate.sessionHeader)

/** Answers how many lines the head has. */
function checkSize(head: Head): number {
  if (head.url.length > targetBytesMax) throw new Fault('uri.too-long')
  const lines = head.rawHeaders.length / 2
  if (lines > headerLinesMax) throw new Fault('head.too-large')
  if (head.url.charCodeAt(0) !== 0x2f) throw new Fault('target.refused')
  return lines
}

function checkRepeated(head: Head, lines: number, sessionHeader: string): object {
  let distinct = 0
  for (const _ in head.headers) distinct++
  if (distinct !== lines) refuseRepeated(head.rawHeaders, sessionHeader)
  return proved
}

function refuseRepeated(rawHeaders: readonly string[], sessionHeader: string): void {
  const seen = new Set<string>()
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at]!.toLowerCase()
    const counts = once.has(name) || name === sessionHeader || name.startsWith('mcp-param-')
    if (counts && seen.has(name)) throw new Fault('header.duplicated', { reason: 'duplicate_header' })
    seen.add(name)
  }
}
