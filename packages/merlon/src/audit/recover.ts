import { createHash, type KeyObject } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { open, rm, stat } from 'node:fs/promises'
import { basename } from 'node:path'
import type { Instant } from '../call.ts'
import type { AuditProblem, AuditProblemKind } from './audit-reader.ts'
import { Chain } from './chain.ts'
import { ChainCheck } from './chain-check.ts'
import { isSigned, parseHead, type SignedHead } from './head.ts'
import { eachLine } from './lines.ts'
import { leafHash } from './merkle.ts'
import { parseLineHead, parseRecord } from './record-line.ts'
import type { SegmentFiles } from './segment-files.ts'
import { firstLine } from './verify.ts'

/** What a log is found to be when it is opened. */
export type Recovered =
  /** There is none. */
  | { readonly state: 'none' }
  /** A file of a version that did not chain its records yet: it proves nothing, and is no sign of tampering. */
  | { readonly state: 'unchained' }
  /** It can be gone on with. */
  | {
      readonly state: 'sound'
      readonly chain: Chain
      /** The newest file, and how many bytes of it stand; `undefined` where it was closed and none begun. */
      readonly size: number | undefined
      /** Bytes of a line that a kill or a full disk cut short. */
      readonly torn: number
      /** When the newest file was begun. */
      readonly began: Instant
    }
  /** It is not what was written. Its records stay where they are, and nothing is added to them. */
  | { readonly state: 'tampered'; readonly problem: AuditProblem; readonly log: string | undefined }

/** What verification calls a problem and a log that was not stopped in peace may well be. */
const noTampering: ReadonlySet<string> = new Set(['unsigned', 'beginning-missing', 'found-tampered'])

/**
 * Finds the end of the log: reads its newest file, which begins with the tree before it, and holds it against the last head
 * that was written beside it. Older files are not read, so that a start takes as long for a year of records as for a day.
 */
export async function recover(files: SegmentFiles, publicKey: KeyObject): Promise<Recovered> {
  await rm(files.draft, { force: true })
  await cutTornLine(files.heads)
  const lastHead = await lastHeadIn(files.heads)
  if (lastHead === 'none' || (lastHead !== undefined && !isSigned(lastHead, publicKey))) {
    const says = 'the last head beside the log is not signed by this key'
    return { state: 'tampered', problem: problemOf(undefined, says, 'head-invalid'), log: undefined }
  }
  const active = await sizeOf(files.active)
  if (active === 0) await rm(files.active)
  const closed = (await files.listClosed()).map(({ path }) => path)
  const newest = active ? files.active : closed.at(-1)
  if (newest === undefined) {
    if (lastHead === undefined) return { state: 'none' }
    const says = `the log is gone: a head covers ${lastHead.size} records of it`
    return { state: 'tampered', problem: problemOf(lastHead.log, says), log: lastHead.log }
  }
  if (active && closed.length === 0 && lastHead === undefined && (await isUnchained(files)))
    return { state: 'unchained' }

  const check = new ChainCheck(publicKey)
  check.startFile(basename(newest))
  const { complete, torn } = await eachLine(newest, (buffer, start, end) => check.line(buffer, start, end))
  check.endFile(0)
  const { current } = check
  const found = check.problems.find(({ kind }) => !noTampering.has(kind))
  if (found !== undefined || current === undefined) {
    const problem = found ?? problemOf(undefined, `${basename(newest)} is no log`)
    return { state: 'tampered', problem, log: current?.log }
  }
  const { log, replaces, segment, range, prev } = current
  // A file is begun behind the head that closed the one before.
  const signed = Math.max(current.signed, current.first)
  const missing =
    beyond({ log, replaces, signed }, lastHead) ?? (await breakBefore(newest, active ? closed.at(-1) : undefined))
  if (missing !== undefined) {
    return { state: 'tampered', problem: problemOf(current.log, missing), log: current.log }
  }
  return {
    state: 'sound',
    chain: new Chain({ log, segment, range, prev, signed }),
    size: active ? complete : undefined,
    torn: active ? torn : 0,
    began: Date.parse(String(parseRecord((await firstLine(newest)) ?? '')?.['timestamp'])),
  }
}

/**
 * Whether a file is from before records were chained: records, none of them with a place in a chain. Where a head is kept
 * beside it the log was chained already; whoever takes the head away too has done no more than remove the log.
 */
async function isUnchained({ active, unchained }: SegmentFiles): Promise<boolean> {
  if ((await sizeOf(unchained)) !== undefined) return false
  let plain = 0
  let others = 0
  await eachLine(active, (buffer, start, end) => {
    const record = parseRecord(buffer.toString('utf8', start, end))
    if (typeof record?.['timestamp'] === 'string' && !('seq' in record) && !('prev' in record)) plain++
    else others++
  })
  return plain > 0 && others === 0
}

/** What is missing of a log whose last head was written to the file of heads. */
function beyond(
  current: { readonly log: string; readonly replaces: string | undefined; readonly signed: number },
  head: SignedHead | undefined,
): string | undefined {
  if (head === undefined || head.log === current.replaces) return undefined
  if (head.log !== current.log)
    return `it is not the log that was written here: the last head is of the log ${head.log}`
  // The record of the head is the one behind what it covers.
  return head.size < current.signed
    ? undefined
    : `its end is missing: a head covers ${head.size} records, and the last head in it ${Math.max(0, current.signed - 1)}`
}

/** Whether the newest file goes on from the end of the one before it. */
async function breakBefore(newest: string, before: string | undefined): Promise<string | undefined> {
  if (before === undefined) return undefined
  const head = parseLineHead((await firstLine(newest)) ?? '')
  if (head === undefined || head.seq === 0) return undefined
  const last = await lastLine(before)
  return last !== undefined && leafHash(last) === head.prev
    ? undefined
    : `${basename(newest)} does not go on from the end of ${basename(before)}`
}

const tailBytes = 65_536

/** The last complete line of a file, if it is not longer than any record of ours. */
export async function lastLine(path: string): Promise<string | undefined> {
  return (await tailLines(path)).at(-1)
}

async function tailLines(path: string): Promise<readonly string[]> {
  const file = await open(path, 'r')
  try {
    const { size } = await file.stat()
    const tail = Buffer.alloc(Math.min(size, tailBytes))
    await file.read(tail, 0, tail.length, size - tail.length)
    const lines = tail
      .subarray(0, tail.lastIndexOf(0x0a) + 1)
      .toString('utf8')
      .split('\n')
      .slice(0, -1)
    // The first may have lost its beginning.
    return tail.length < size ? lines.slice(1) : lines
  } finally {
    await file.close()
  }
}

/** The newest head in a file of heads; `none` where what stands there is no head. */
async function lastHeadIn(path: string): Promise<SignedHead | 'none' | undefined> {
  if (!(await sizeOf(path))) return undefined
  return parseHead(parseRecord((await lastLine(path)) ?? '')) ?? 'none'
}

/** The newest head in a file of heads, if there is one. */
export async function newestHead(path: string): Promise<SignedHead | undefined> {
  const head = await lastHeadIn(path)
  return head === 'none' ? undefined : head
}

/** Cuts off a last line that a kill or a full disk left without its end. */
export async function cutTornLine(path: string): Promise<void> {
  if (!(await sizeOf(path))) return
  const file = await open(path, 'r+')
  try {
    const { size } = await file.stat()
    const tail = Buffer.alloc(Math.min(size, tailBytes))
    await file.read(tail, 0, tail.length, size - tail.length)
    const end = tail.lastIndexOf(0x0a) + 1
    if (end < tail.length) await file.truncate(size - tail.length + end)
  } finally {
    await file.close()
  }
}

/** How large a file is; `undefined` where there is none. */
export async function sizeOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).size
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

function problemOf(log: string | undefined, says: string, kind: AuditProblemKind = 'truncated'): AuditProblem {
  return { kind, log, seq: undefined, file: undefined, line: undefined, says }
}

/** Beyond this a file is named by its size alone. */
const digestBytesMax = 256 * 1_048_576

/** The size of a file and its digest, so that a record can name exactly what was found. */
export async function fileDigest(path: string): Promise<{ readonly bytes: number; readonly sha256: string }> {
  const { size } = await stat(path)
  if (size > digestBytesMax) return { bytes: size, sha256: 'too-large' }
  const digest = createHash('sha256')
  for await (const chunk of createReadStream(path)) digest.update(chunk as Buffer)
  return { bytes: size, sha256: digest.digest('base64url') }
}
