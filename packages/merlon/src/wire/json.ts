import { isUtf8 } from 'node:buffer'
import { Fault } from '../errors.ts'

/** Bounds on one JSON text. Depth and nodes are counted before any object is built. */
export interface JsonBounds {
  readonly depthMax: number
  readonly nodesMax: number
}

const keysPerObjectMax = 10_000
const stringBytesMax = 1_048_576

const quote = 0x22
const backslash = 0x5c

/**
 * Decodes one JSON text in UTF-8 (RFC 8259), or throws a Fault.
 *
 * Refuses: bytes that are not UTF-8 or begin with a byte order mark, anything that is not JSON, nesting or values beyond
 * the bounds (found by a walk over the bytes, before objects are built), a key that appears twice in one object, and the
 * key `__proto__` anywhere. `JSON.parse` keeps the last of two equal keys, so a duplicate shows as fewer keys in the
 * value than colons in the text: escaped spellings of one key are found too.
 */
export function parseJson(bytes: Buffer, bounds: JsonBounds): unknown {
  const keysWritten = measure(bytes, bounds)
  if (!isUtf8(bytes)) throw new Fault('body.malformed', { reason: 'utf-8' })
  let value: unknown
  try {
    value = JSON.parse(bytes.toString('utf8'))
  } catch {
    throw new Fault('body.malformed', { reason: 'json' })
  }
  if (countKeys(value) !== keysWritten) throw new Fault('request.invalid', { reason: 'duplicate-key' })
  return value
}

/** Walks the bytes once: bounds depth, nodes and string lengths; returns the number of colons outside strings. */
function measure(bytes: Buffer, bounds: JsonBounds): number {
  const end = bytes.length
  let depth = 0
  let nodes = 1
  let colons = 0
  for (let at = 0; at < end; at++) {
    const byte = bytes[at]
    if (byte === quote) {
      const start = at
      at++
      while (at < end) {
        const inner = bytes[at]
        if (inner === quote) break
        at += inner === backslash ? 2 : 1
      }
      if (at - start > stringBytesMax) throw new Fault('request.invalid', { reason: 'string-length' })
    } else if (byte === 0x3a) colons++
    else if (byte === 0x2c) nodes++
    else if (byte === 0x7b || byte === 0x5b) {
      nodes++
      if (++depth > bounds.depthMax) throw new Fault('request.invalid', { reason: 'depth' })
    } else if (byte === 0x7d || byte === 0x5d) depth--
  }
  if (nodes > bounds.nodesMax) throw new Fault('request.invalid', { reason: 'nodes' })
  return colons
}

/** Counts keys at every depth. Recursion is safe: `measure` has bounded the depth. */
function countKeys(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0
  let keys = 0
  if (Array.isArray(value)) {
    for (const element of value) if (typeof element === 'object') keys += countKeys(element)
    return keys
  }
  const object = value as Record<string, unknown>
  let own = 0
  for (const key in object) {
    if (key === '__proto__') throw new Fault('request.invalid', { reason: 'proto-key' })
    own++
    const inner = object[key]
    if (typeof inner === 'object') keys += countKeys(inner)
  }
  if (own > keysPerObjectMax) throw new Fault('request.invalid', { reason: 'keys' })
  return keys + own
}

/** Whether a value is a JSON object, not an array and not null. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
