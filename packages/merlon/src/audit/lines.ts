import { type FileHandle, open } from 'node:fs/promises'

const chunkBytes = 262_144
/** No line that we write is longer. */
export const lineBytesMax = 16 * 1_048_576

/** Takes one line: the bytes from `start` to `end`, without the end of line. The byte before `start` is free to use. */
export type TakeLine = (buffer: Buffer, start: number, end: number) => void

/**
 * Reads the lines of a file in order, a chunk at a time. Answers how many bytes its complete lines have, and how many
 * follow without an end. A line that is too long is handed out in parts.
 */
export async function eachLine(
  path: string,
  take: TakeLine,
  { from = 0, to = Number.POSITIVE_INFINITY }: { readonly from?: number; readonly to?: number } = {},
): Promise<{ readonly complete: number; readonly torn: number }> {
  const file = await open(path, 'r')
  try {
    return await linesOf(file, take, from, to)
  } finally {
    await file.close()
  }
}

async function linesOf(
  file: FileHandle,
  take: TakeLine,
  from: number,
  to: number,
): Promise<{ complete: number; torn: number }> {
  let buffer = Buffer.allocUnsafe(chunkBytes + 1)
  // Bytes 1 to `held` are the beginning of a line whose end is still to be read.
  let held = 1
  let at = from
  for (;;) {
    const room = Math.min(buffer.length - held, to - at)
    const { bytesRead } = room > 0 ? await file.read(buffer, held, room, at) : { bytesRead: 0 }
    if (bytesRead === 0) return { complete: at - (held - 1), torn: held - 1 }
    at += bytesRead
    const filled = held + bytesRead
    let start = 1
    for (let end = buffer.indexOf(0x0a, held); end !== -1 && end < filled; end = buffer.indexOf(0x0a, start)) {
      take(buffer, start, end)
      start = end + 1
    }
    if (start === 1 && filled === buffer.length) {
      if (buffer.length > lineBytesMax) {
        take(buffer, 1, filled)
        held = 1
        continue
      }
      const larger = Buffer.allocUnsafe(buffer.length * 2)
      buffer.copy(larger, 0, 0, filled)
      buffer = larger
      held = filled
      continue
    }
    buffer.copy(buffer, 1, start, filled)
    held = 1 + filled - start
  }
}
