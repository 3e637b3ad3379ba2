import { type FileHandle, open } from 'node:fs/promises'
import type { Clock, Instant } from '../call.ts'
import { Fault } from '../errors.ts'
import { type AuditEntry, type AuditLog, encodeEntry, encodeLine } from './audit-log.ts'

/** Records waiting in memory beyond which no further call is made. */
const waitingBytesMax = 8 * 1_048_576
/** Beyond this, records of what was refused meanwhile are counted and not kept: a disk that is full may not fill the memory. */
const keptBytesMax = 2 * waitingBytesMax
/** How long a failed write keeps calls out before the next try. */
const retryMs = 1_000

/**
 * The audit log as JSON lines appended to one file (mode 0600).
 *
 * Records of calls wait at most `flushMs` and are written together: a crash of the process may lose that much, a loss of
 * power what the system had not yet written. `commit` writes and syncs before it answers. While the file cannot be
 * written what waits is tried again, and meanwhile calls are refused; only when memory for the records of refusals runs
 * out are they left out, and a record then says how many.
 */
export class FileAuditLog implements AuditLog {
  private waiting: string[] = []
  private waitingBytes = 0
  private timer: NodeJS.Timeout | undefined
  private writing: Promise<void> = Promise.resolve()
  private failedAt: number | undefined
  /** The size of the file before the write that failed: whatever that left behind it is cut off before the next. */
  private intact: number | undefined
  private lost = 0
  private closed = false
  private readonly file: FileHandle
  private readonly flushMs: number
  private readonly clock: Clock
  private readonly onFailure: (cause: unknown) => void

  private constructor(file: FileHandle, flushMs: number, clock: Clock, onFailure: (cause: unknown) => void) {
    this.file = file
    this.flushMs = flushMs
    this.clock = clock
    this.onFailure = onFailure
  }

  static async open(
    path: string,
    options: { flushMs: number; clock: Clock; onFailure: (cause: unknown) => void },
  ): Promise<FileAuditLog> {
    const file = await open(path, 'a+', 0o600)
    await dropTornLine(file)
    return new FileAuditLog(file, options.flushMs, options.clock, options.onFailure)
  }

  append(entry: AuditEntry): void {
    this.appendLine(encodeEntry(entry))
  }

  appendLine(members: string): void {
    if (this.waitingBytes > keptBytesMax) this.lost++
    else this.keep(encodeLine(members, this.clock()))
  }

  private keep(line: string): void {
    this.waiting.push(line)
    this.waitingBytes += line.length
    this.timer ??= setTimeout(() => void this.flush(false).catch(() => undefined), this.flushMs)
  }

  async commit(entry: AuditEntry): Promise<void> {
    if (this.closed) throw new Fault('audit.unavailable', { reason: 'closed' })
    this.keep(encodeLine(encodeEntry(entry), this.clock()))
    await this.flush(true)
  }

  check(): void {
    if (this.failedAt !== undefined || this.waitingBytes > waitingBytesMax || this.closed)
      throw new Fault('audit.unavailable')
  }

  async close(): Promise<void> {
    this.closed = true
    try {
      await this.flush(true)
    } finally {
      clearTimeout(this.timer)
      await this.file.close()
    }
  }

  /** Writes all that waits; writes never overlap. Rejects where the disk does. */
  private flush(sync: boolean): Promise<void> {
    clearTimeout(this.timer)
    this.timer = undefined
    const write = this.writing.then(() => this.write(sync))
    this.writing = write.catch(() => undefined)
    return write
  }

  private async write(sync: boolean): Promise<void> {
    const { lost } = this
    const batch = this.waiting.join('')
    const size = this.waitingBytes
    this.waiting = []
    this.waitingBytes = 0
    try {
      const seam = this.intact === undefined ? '' : await undo(this.file, this.intact, batch)
      const { size: intact, nlink } = await this.file.stat()
      // Written on, it would take every record and show none.
      if (nlink === 0) throw new Error('the audit log was removed while the server writes it; start again')
      this.intact = intact
      const lines = seam + (lost === 0 ? batch : batch + lossLine(lost, this.clock()))
      if (lines !== '') await this.file.appendFile(lines)
      if (sync) await this.file.datasync()
      this.intact = undefined
      this.failedAt = undefined
      this.lost -= lost
    } catch (cause) {
      this.waiting.unshift(batch)
      this.waitingBytes += size
      if (this.failedAt === undefined) this.onFailure(cause)
      this.failedAt = this.clock()
      if (!this.closed) this.timer ??= setTimeout(() => void this.flush(false).catch(() => undefined), retryMs).unref()
      throw new Fault('audit.unavailable', { cause })
    }
  }
}

function lossLine(lost: number, now: Instant): string {
  const entry = {
    type: 'server',
    success: false,
    level: 'error',
    reason: 'records-lost',
    outcome: String(lost),
  } as const
  return encodeLine(encodeEntry(entry), now)
}

/**
 * Cuts off what a write left that failed part of the way: its whole lines too, since all of it is written again. Where
 * another process has written behind it nothing is cut, for its records stand; answers what to begin with then.
 */
async function undo(file: FileHandle, intact: number, batch: string): Promise<string> {
  const left = Buffer.alloc(Math.max(0, (await file.stat()).size - intact))
  await file.read(left, 0, left.length, intact)
  if (Buffer.from(batch).subarray(0, left.length).equals(left)) {
    if (left.length > 0) await file.truncate(intact)
    return ''
  }
  return left.at(-1) === 0x0a ? '' : '\n'
}

/** Cuts off a last line that a full disk or a kill left without its end; its record was never acknowledged. */
async function dropTornLine(file: FileHandle): Promise<void> {
  const { size } = await file.stat()
  const tail = Buffer.alloc(Math.min(size, 65_536))
  await file.read(tail, 0, tail.length, size - tail.length)
  const end = tail.lastIndexOf(0x0a) + 1
  if (end < tail.length) await file.truncate(size - tail.length + end)
}
