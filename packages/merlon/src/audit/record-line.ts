import type { SignedHead } from './head.ts'
import { parseHead } from './head.ts'

/** What every line of the log begins with: its place in the chain, and what sort of record it is. */
export interface LineHead {
  readonly seq: number
  /** The leaf hash of the line before. */
  readonly prev: string
  readonly type: string
}

const lineHead =
  /^\{"seq":(0|[1-9][0-9]{0,14}),"prev":"([A-Za-z0-9_-]{43})","timestamp":"[^"]{20,32}","level":"(?:info|warn|error)","type":"([a-z_]{1,32})"/
/** Beyond this no head of a line reaches. */
export const lineHeadBytesMax = 200

/** The head of a line, or `undefined` where it is none that we wrote. Reads the beginning alone. */
export function parseLineHead(beginning: string): LineHead | undefined {
  const found = lineHead.exec(beginning)
  return found === null ? undefined : { seq: Number(found[1]), prev: found[2]!, type: found[3]! }
}

/** A line, without its end. `members` are those of the record, from its timestamp on. */
export function chainedLine(seq: number, prev: string, members: string): string {
  return `{"seq":${seq},"prev":"${prev}",${members}}`
}

/** The first record of every file: which log it is, and the tree before it, so that the file can be checked by itself. */
export interface SegmentRecord {
  readonly log: string
  /** Counts the files, from 0, over all logs of a folder. */
  readonly segment: number
  /** The complete subtrees over all records before this one. */
  readonly peaks: readonly string[]
  /** The log that this one goes on for, because it was found tampered with. */
  readonly replaces?: string | undefined
}

export function segmentMembers({ log, segment, peaks, replaces }: SegmentRecord, timestamp: string): string {
  const before = replaces === undefined ? '' : `,"replaces":"${replaces}"`
  return `"timestamp":"${timestamp}","level":"info","type":"segment","success":true,"version":1,"log":"${log}","segment":${segment}${before},"peaks":${JSON.stringify(peaks)}`
}

export function parseSegment(line: string): SegmentRecord | undefined {
  const record = parseRecord(line)
  if (record === undefined || record['type'] !== 'segment' || record['version'] !== 1) return undefined
  const { log, segment, peaks, replaces } = record
  const isHash = (peak: unknown) => typeof peak === 'string' && /^[A-Za-z0-9_-]{43}$/.test(peak)
  if (!isLog(log) || !Number.isSafeInteger(segment) || (segment as number) < 0) return undefined
  if (!Array.isArray(peaks) || !peaks.every(isHash) || !(replaces === undefined || isLog(replaces))) return undefined
  return { log, segment: segment as number, peaks, replaces: replaces as string | undefined }
}

function isLog(value: unknown): value is string {
  return typeof value === 'string' && /^[0-9a-f]{32}$/.test(value)
}

/** The record of a head. Its every byte follows from the head, so that none of it can be changed unseen. */
export function headMembers({ log, size, root, at, keyId, signature }: SignedHead): string {
  return `"timestamp":"${at}","level":"info","type":"head","success":true,"log":"${log}","size":${size},"root":"${root}","at":"${at}","keyId":"${keyId}","signature":"${signature}"`
}

/** The head in a line, or `undefined` where the line is not byte for byte what the head makes. */
export function parseHeadLine(line: string, { seq, prev }: LineHead): SignedHead | undefined {
  const head = parseHead(parseRecord(line))
  if (head === undefined || head.size !== seq) return undefined
  return chainedLine(seq, prev, headMembers(head)) === line ? head : undefined
}

/** A line as a record; `undefined` where it is no JSON object. */
export function parseRecord(line: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(line)
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Readonly<Record<string, unknown>>)
      : undefined
  } catch {
    return undefined
  }
}
