import { stat } from 'node:fs/promises'
import type { Instant } from '../call.ts'
import { parseLineHead, parseRecord, parseSegment } from './record-line.ts'
import { lastLine } from './recover.ts'
import type { SegmentFiles } from './segment-files.ts'
import { firstLine } from './verify.ts'

export interface Retention {
  /** A file goes when its last record is older. Absent: never for its age. */
  readonly keepMs?: number | undefined
  /** The oldest files go while all together are larger. Absent: never for their size. */
  readonly keepBytes?: number | undefined
}

/** What retention removes: whole closed files, the oldest, and never one between others. */
export interface Pruning {
  readonly files: readonly string[]
  /** The first record that is left of each log that loses some. */
  readonly left: readonly { readonly log: string; readonly first: number }[]
}

/** What is due to be removed now, or `undefined`. Removes nothing itself. */
export async function dueForPruning(
  files: SegmentFiles,
  { keepMs, keepBytes }: Retention,
  now: Instant,
): Promise<Pruning | undefined> {
  if (keepMs === undefined && keepBytes === undefined) return undefined
  const closed = (await files.listClosed()).map(({ path }) => path)
  const sizes = await Promise.all([...closed, files.active].map(async (path) => (await stat(path)).size))
  let total = sizes.reduce((sum, size) => sum + size, 0)
  let count = 0
  for (const [at, path] of closed.entries()) {
    const tooMuch = keepBytes !== undefined && total > keepBytes
    const tooOld = keepMs !== undefined && (await endOf(path)) < now - keepMs
    if (!tooMuch && !tooOld) break
    total -= sizes[at]!
    count++
  }
  if (count === 0) return undefined
  return { files: closed.slice(0, count), left: await firstsOf(closed.slice(0, count), [...closed, files.active]) }
}

/** When the last record of a file was written. One that cannot be told is never too old. */
async function endOf(path: string): Promise<Instant> {
  const last = await lastLine(path)
  const at = Date.parse(String(last === undefined ? '' : parseRecord(last)?.['timestamp']))
  return Number.isNaN(at) ? Number.POSITIVE_INFINITY : at
}

/** Where the logs of the removed files begin afterwards. A log of which nothing is left is not named. */
async function firstsOf(
  removed: readonly string[],
  all: readonly string[],
): Promise<readonly { readonly log: string; readonly first: number }[]> {
  const logs = new Set<string>()
  const firsts = new Map<string, number>()
  for (const path of all) {
    const line = await firstLine(path)
    const segment = line === undefined ? undefined : parseSegment(line)
    if (line === undefined || segment === undefined) continue
    if (removed.includes(path)) logs.add(segment.log)
    else if (logs.has(segment.log) && !firsts.has(segment.log)) firsts.set(segment.log, parseLineHead(line)?.seq ?? 0)
  }
  return [...firsts].map(([log, first]) => ({ log, first }))
}
