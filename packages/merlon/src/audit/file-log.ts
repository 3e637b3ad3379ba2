import { type FileHandle, open } from 'node:fs/promises'
import type { Clock } from '../call.ts'
import { Fault } from '../errors.ts'
import { type AuditEntry, type AuditLog, encodeEntry, encodeLine } from './audit-log.ts'

/** Records waiting in memory beyond which no further call is made. */
const waitingBytesMax = 8 * 1_048_576
/** How long a failed write keeps calls out before the next try. */
const retryMs = 1_000

/**
 * The audit log as JSON lines appended to one file (mode 0600).
 *
 * Records of calls wait at most `flushMs` and are written together: a crash of the process may lose that much, a loss of
 * power what the system had not yet written. `commit` writes and syncs before it answers. While the file cannot be
 * written nothing is dropped: what waits is tried again, and meanwhile calls are refused.
 */
export class FileAuditLog implements AuditLog {
  private waiting: string[] = []
  private waitingBytes = 0
  private timer: NodeJS.Timeout | undefined
  private writing: Promise<void> = Promise.resolve()
  private failedAt: number | undefined
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
    const line = encodeLine(members, this.clock())
    this.waiting.push(line)
    this.waitingBytes += line.length
    this.timer ??= setTimeout(() => void this.flush(false).catch(() => undefined), this.flushMs)
  }

  async commit(entry: AuditEntry): Promise<void> {
    if (this.closed) throw new Fault('audit.unavailable', { reason: 'closed' })
    this.appendLine(encodeEntry(entry))
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
    const batch = this.waiting.join('')
    const size = this.waitingBytes
    this.waiting = []
    this.waitingBytes = 0
    try {
      if (this.failedAt !== undefined) await dropTornLine(this.file)
      if (batch !== '') await this.file.appendFile(batch)
      if (sync) await this.file.datasync()
      this.failedAt = undefined
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

/** Cuts off a last line that a full disk or a kill left without its end; its record was never acknowledged, or is written anew. */
async function dropTornLine(file: FileHandle): Promise<void> {
  const { size } = await file.stat()
  const tail = Buffer.alloc(Math.min(size, 65_536))
  await file.read(tail, 0, tail.length, size - tail.length)
  const end = tail.lastIndexOf(0x0a) + 1
  if (end < tail.length) await file.truncate(size - tail.length + end)
}
