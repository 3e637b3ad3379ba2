import type { KeyObject } from 'node:crypto'
import { type FileHandle, open, stat } from 'node:fs/promises'
import { Fault } from '../errors.ts'
import type {
  AuditFilter,
  AuditPage,
  AuditQuery,
  AuditReader,
  AuditRecord,
  AuditVerdict,
  ExportFormat,
} from './audit-reader.ts'
import { csvHeader, csvLine } from './csv.ts'
import type { FileAuditLog } from './file-log.ts'
import type { SignedHead } from './head.ts'
import { type Match, matcher } from './match.ts'
import { parseSegment } from './record-line.ts'
import { newestHead, sizeOf } from './recover.ts'
import type { SegmentFiles } from './segment-files.ts'
import { firstLine, verifyAudit } from './verify.ts'

const chunkBytes = 262_144
/** One page reads no more of the log than this, so that a search for what is rare does not take the server's time. */
const pageBytesMax = 16 * 1_048_576
const limitMax = 1_000

/** What the reader needs of the writer. */
export type Writer = Pick<FileAuditLog, 'written' | 'signHead' | 'keepFiles' | 'addSink'>

interface Segment {
  readonly path: string
  readonly segment: number
}

/** A place between two lines: the number of a file, and bytes from its beginning. */
interface Place {
  readonly segment: number
  readonly offset: number
}

/** Reads the files of a log in the process that writes them. */
export class FileAuditReader implements AuditReader {
  readonly publicKey: string
  private readonly files: SegmentFiles
  private readonly writer: Writer
  private verifying: Promise<void> = Promise.resolve()

  constructor(files: SegmentFiles, writer: Writer, publicKey: KeyObject) {
    this.files = files
    this.writer = writer
    this.publicKey = publicKey.export({ type: 'spki', format: 'pem' }).toString()
  }

  async query({ after, limit, ...filter }: AuditQuery): Promise<AuditPage> {
    if (!Number.isSafeInteger(limit) || limit < 1 || limit > limitMax)
      throw new Fault('params.invalid', { says: `limit is 1 to ${limitMax}` })
    const mark = after === undefined ? undefined : parsePlace(after)
    const match = matcher(filter)
    await this.writer.written()
    const segments = [...(await this.segments())].reverse()
    const records: AuditRecord[] = []
    let budget = pageBytesMax
    for (const { path, segment } of segments) {
      if (mark !== undefined && segment > mark.segment) continue
      const found = await withFile(path, (file) =>
        readBack(file, mark?.segment === segment ? mark.offset : undefined, match, limit - records.length, budget),
      )
      if (found === undefined) continue
      records.push(...found.records)
      budget -= found.read
      if (found.at > 0) return { records, next: `${segment}.${found.at}` }
      if (records.length === limit || budget <= 0) {
        const older = segments.some((one) => one.segment < segment)
        return { records, next: older ? `${segment}.0` : undefined }
      }
    }
    return { records, next: undefined }
  }

  async *export(filter: AuditFilter, format: ExportFormat): AsyncIterable<string> {
    const match = matcher(filter)
    await this.writer.written()
    if (format === 'csv') yield csvHeader
    for await (const { lines } of this.forward(match, undefined)) {
      const pieces = lines.map(({ text, record }) => (format === 'csv' ? csvLine(record) : `${text}\n`))
      if (pieces.length > 0) yield pieces.join('')
    }
  }

  async *tail(filter: AuditFilter, signal: AbortSignal): AsyncIterable<AuditRecord> {
    const match = matcher(filter)
    await this.writer.written()
    const newest = (await this.segments()).at(-1)
    if (newest === undefined) return
    let place: Place = { segment: newest.segment, offset: (await stat(newest.path)).size }
    let wake = () => {}
    const remove = this.writer.addSink(() => wake())
    const stop = () => wake()
    signal.addEventListener('abort', stop)
    try {
      while (!signal.aborted) {
        const woken = new Promise<void>((resolve) => {
          wake = resolve
        })
        for await (const { lines, at } of this.forward(match, place)) {
          place = at
          for (const { record } of lines) {
            if (signal.aborted) return
            yield record
          }
        }
        if (!signal.aborted) await woken
      }
    } finally {
      remove()
      signal.removeEventListener('abort', stop)
    }
  }

  /** Signs what no head covers yet: whoever keeps a head elsewhere wants to keep all that there is. */
  async head(): Promise<SignedHead | undefined> {
    await this.writer.signHead()
    return newestHead(this.files.heads)
  }

  /** One at a time: each reads the whole log. */
  verify(kept: readonly SignedHead[] = []): Promise<AuditVerdict> {
    const verdict = this.verifying.then(() => this.verifyNow(kept))
    this.verifying = verdict.then(
      () => undefined,
      () => undefined,
    )
    return verdict
  }

  private async verifyNow(kept: readonly SignedHead[]): Promise<AuditVerdict> {
    const release = this.writer.keepFiles()
    try {
      await this.writer.signHead()
      const size = await this.writer.written()
      const files = await this.files.list()
      const headBytes = await sizeOf(this.files.heads)
      return await verifyAudit({
        files,
        publicKey: this.publicKey,
        headFiles: headBytes ? [this.files.heads] : [],
        heads: kept,
        endOf: (file) => (file === this.files.active ? size : undefined),
      })
    } finally {
      release()
    }
  }

  /** The files, oldest first, each with its number. */
  private async segments(): Promise<readonly Segment[]> {
    const line = await firstLine(this.files.active).catch(() => undefined)
    const newest = line === undefined ? undefined : parseSegment(line)?.segment
    const closed = await this.files.listClosed()
    // A file that was closed between the two looks is in both.
    return newest === undefined
      ? closed
      : [...closed.filter(({ segment }) => segment < newest), { path: this.files.active, segment: newest }]
  }

  /** What fits, from a place on to the present end, a chunk at a time; `at` is the place behind it. */
  private async *forward(match: Match, from: Place | undefined): AsyncGenerator<{ lines: Found[]; at: Place }> {
    let place = from
    for (;;) {
      const next = (await this.segments()).find(({ segment }) => place === undefined || segment >= place.segment)
      if (next === undefined) return
      const file = await open(next.path, 'r').catch(() => undefined)
      if (file === undefined) return
      let offset = place?.segment === next.segment ? place.offset : 0
      try {
        for (;;) {
          const chunk = await readOn(file, offset, match)
          if (chunk === undefined) break
          offset += chunk.read
          yield { lines: chunk.lines, at: { segment: next.segment, offset } }
        }
      } finally {
        await file.close()
      }
      const newer = (await this.segments()).find(({ segment }) => segment > next.segment)
      if (newer === undefined) return
      place = { segment: newer.segment, offset: 0 }
    }
  }
}

interface Found {
  readonly text: string
  readonly record: AuditRecord
}

function parsePlace(mark: string): Place {
  const found = /^([0-9]{1,12})\.([0-9]{1,15})$/.exec(mark)
  if (found === null) throw new Fault('cursor.invalid')
  return { segment: Number(found[1]), offset: Number(found[2]) }
}

/** `undefined` where the file is gone: retention was faster. */
async function withFile<T>(path: string, work: (file: FileHandle) => Promise<T>): Promise<T | undefined> {
  let file: FileHandle
  try {
    file = await open(path, 'r')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
  try {
    return await work(file)
  } finally {
    await file.close()
  }
}

/** The records that fit before a place in a file, the last first; `at` is where it stopped, 0 at the beginning. */
async function readBack(
  file: FileHandle,
  before: number | undefined,
  match: Match,
  limit: number,
  budget: number,
): Promise<{ records: AuditRecord[]; at: number; read: number }> {
  const records: AuditRecord[] = []
  let end = Math.min(before ?? Number.POSITIVE_INFINITY, (await file.stat()).size)
  let read = 0
  let size = chunkBytes
  while (end > 0 && read < budget) {
    const begin = Math.max(0, end - size)
    const chunk = Buffer.allocUnsafe(end - begin)
    await file.read(chunk, 0, chunk.length, begin)
    read += chunk.length
    // Lines that are whole in the chunk: the first of a file, and those behind an end of line.
    const whole = begin === 0 ? 0 : chunk.indexOf(0x0a) + 1
    if (begin > 0 && (whole === 0 || whole === chunk.length)) {
      size *= 2
      continue
    }
    size = chunkBytes
    let stop = chunk.lastIndexOf(0x0a)
    while (stop >= whole && stop > 0) {
      const start = Math.max(whole, chunk.lastIndexOf(0x0a, stop - 1) + 1)
      const record = match(chunk.subarray(start, stop))
      if (record !== undefined) {
        records.push(record)
        if (records.length === limit) return { records, at: begin + start, read }
      }
      stop = start - 1
    }
    end = begin + whole
    if (begin === 0) end = 0
  }
  return { records, at: end, read }
}

/** The complete lines of one chunk that fit. `undefined` where no complete line follows. */
async function readOn(
  file: FileHandle,
  from: number,
  match: Match,
): Promise<{ lines: Found[]; read: number } | undefined> {
  for (let size = chunkBytes; ; size *= 2) {
    const chunk = Buffer.allocUnsafe(size)
    const { bytesRead } = await file.read(chunk, 0, size, from)
    const end = chunk.subarray(0, bytesRead).lastIndexOf(0x0a) + 1
    if (end === 0 && bytesRead < size) return undefined
    if (end === 0) continue
    const lines: Found[] = []
    for (let start = 0; start < end; ) {
      const stop = chunk.indexOf(0x0a, start)
      const line = chunk.subarray(start, stop)
      const record = match(line)
      if (record !== undefined) lines.push({ text: line.toString('utf8'), record })
      start = stop + 1
    }
    return { lines, read: end }
  }
}
