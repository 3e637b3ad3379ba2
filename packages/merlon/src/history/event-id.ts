import { createHmac, type KeyObject, timingSafeEqual } from 'node:crypto'
import { decodeCanonical } from '../canonical-base64.ts'

const placeBytes = 8
const macBytes = 16

/**
 * Event ids: the place in a stream and a MAC over session, stream and place, as 32 characters of base64url.
 * Opaque to the client; an id that was altered, made up, or belongs to another session is undefined here.
 */
export function encodeEventId(key: KeyObject, session: string, stream: number, seq: number): string {
  const place = Buffer.allocUnsafe(placeBytes)
  place.writeUInt32BE(stream, 0)
  place.writeUInt32BE(seq, 4)
  return Buffer.concat([place, mac(key, session, place)]).toString('base64url')
}

export function decodeEventId(
  key: KeyObject,
  session: string,
  id: string,
): { stream: number; seq: number } | undefined {
  if (id.length !== ((placeBytes + macBytes) * 4) / 3) return undefined
  const bytes = decodeCanonical(id, 'base64url')
  if (bytes === undefined || bytes.length !== placeBytes + macBytes) return undefined
  const place = bytes.subarray(0, placeBytes)
  if (!timingSafeEqual(bytes.subarray(placeBytes), mac(key, session, place))) return undefined
  return { stream: place.readUInt32BE(0), seq: place.readUInt32BE(4) }
}

function mac(key: KeyObject, session: string, place: Buffer): Buffer {
  return createHmac('sha256', key).update(place).update(session).digest().subarray(0, macBytes)
}
