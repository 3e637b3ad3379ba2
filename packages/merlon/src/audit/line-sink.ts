import type { Writable } from 'node:stream'
import type { LineSink } from './file-log-options.ts'

/** What may wait for a reader that is slow. Beyond it lines are left out here; the log has them. */
const waitingBytesMax = 8 * 1_048_576

/**
 * Hands lines on to a stream, as the standard output that a collector reads. A reader that is slow or gone does not keep
 * the log waiting: what it misses is counted, and told once it reads again.
 */
export function lineSink(stream: Writable, onMissed: (lines: number) => void): LineSink {
  let missed = 0
  let gone = false
  stream.on('error', () => {
    gone = true
  })
  return (lines) => {
    if (gone || stream.destroyed) return
    if (stream.writableLength > waitingBytesMax) {
      missed += lines.split('\n').length - 1
      return
    }
    if (missed > 0) {
      const count = missed
      missed = 0
      onMissed(count)
    }
    stream.write(lines)
  }
}
