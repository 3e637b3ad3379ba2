import { createCipheriv } from 'node:crypto'
import type { RandomBytes } from '../call.ts'

const idBytes = 16
const idsAtOnce = 128
/** Hexadecimal digits: 96 bits, so that two are the same by chance alone, and never in the life of a process. */
const digits = 24

/**
 * Ids that are ours alone and tell nothing, not even how many there were: the difference of two counts would tell a caller how
 * much the others ask. A count is enciphered with a key that dies with the process.
 */
export function requestIds(random: RandomBytes): () => string {
  const cipher = createCipheriv('aes-128-ecb', random(16), null).setAutoPadding(false)
  const counts = Buffer.alloc(idBytes * idsAtOnce)
  let ids = ''
  let count = 0
  let at = idsAtOnce
  return () => {
    if (at === idsAtOnce) {
      for (let each = 0; each < idsAtOnce; each++) counts.writeUIntBE(count++, each * idBytes, 6)
      ids = cipher.update(counts).toString('hex')
      at = 0
    }
    const begin = 2 * idBytes * at++
    return ids.slice(begin, begin + digits)
  }
}
