import { createHmac, type KeyObject, randomBytes, timingSafeEqual } from 'node:crypto'
import { decodeCanonical } from '../canonical-base64.ts'

const drawnBytes = 16
const macBytes = 16

/**
 * The id of a question to the client of a session: drawn by chance, and recognised by every replica with the same key. So an
 * answer to what nobody asked is dropped where it arrives.
 */
export function questionId(key: KeyObject, session: string): string {
  const drawn = randomBytes(drawnBytes)
  return Buffer.concat([drawn, mac(key, session, drawn)]).toString('base64url')
}

/** Whether this id was given to a question of this session, open or not. */
export function isQuestionId(key: KeyObject, session: string, id: unknown): boolean {
  if (typeof id !== 'string' || id.length !== Math.ceil(((drawnBytes + macBytes) * 4) / 3)) return false
  const bytes = decodeCanonical(id, 'base64url')
  if (bytes === undefined || bytes.length !== drawnBytes + macBytes) return false
  return timingSafeEqual(bytes.subarray(drawnBytes), mac(key, session, bytes.subarray(0, drawnBytes)))
}

function mac(key: KeyObject, session: string, drawn: Buffer): Buffer {
  return createHmac('sha256', key).update(drawn).update(session).digest().subarray(0, macBytes)
}
