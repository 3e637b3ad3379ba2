import { appendFile, type FileHandle, open, rename, rm, stat } from 'node:fs/promises'
import { basename } from 'node:path'
import { Fault } from '../errors.ts'
import type { FileLock } from '../file-lock.ts'
import { type AuditEntry, type AuditLog, encodeEntry, encodeMembers } from './audit-log.ts'
import { Chain, newLogId } from './chain.ts'
import type { FileLogOptions, LineSink } from './file-log-options.ts'
import type { SignedHead } from './head.ts'
import { LineBatch } from './line-batch.ts'
import { takeLogLock } from './log-lock.ts'
import { lossEntry, pruneEntries, recoveredEntry, type Tampering, tamperEntry, upgradeEntry } from './own-records.ts'
import { cutTornLine, fileDigest, type Recovered, recover } from './recover.ts'
import { dueForPruning } from './retention.ts'
import { SegmentFiles } from './segment-files.ts'

/** Records waiting in memory beyond which no further call is made. */
const waitingBytesMax = 8 * 1_048_576
/** Beyond this, records of what was refused meanwhile are counted and not kept: a disk that is full may not fill the memory. */
const keptBytesMax = 2 * waitingBytesMax
/** How long a failed write keeps calls out before the next try. */
const retryMs = 1_000
/** How long after a file could not be closed it is tried again. */
const rotationRetryMs = 60_000

/**
 * The audit log as JSON lines in files (mode 0600), each line chained to the one before, with signed heads between them.
 *
 * Records of calls wait at most `flushMs` and are written together: a crash of the process may lose that much, a loss of
 * power what the system had not yet written. `commit` writes and syncs before it answers. While the file cannot be
 * written what waits is tried again, and meanwhile calls are refused; only when memory for the records of refusals runs
 * out are they left out, and a record then says how many.
 *
 * One process writes a log at a time; the lock says so.
 */
export class FileAuditLog implements AuditLog {
  private waiting: string[] = []
  private waitingBytes = 0
  /** When the oldest record was taken that is not on the disk. */
  private waitingSince: number | undefined
  /** Records that have their place in the chain and are not on the disk: as they were given, and as lines. */
  private sealed: string[] = []
  private readonly lines = new LineBatch()
  /** Heads that are in `lines`, or were written there and not yet beside the log. */
  private freshHeads: SignedHead[] = []
  private timer: NodeJS.Timeout | undefined
  private headTimer: NodeJS.Timeout | undefined
  private writing: Promise<void> = Promise.resolve()
  private failedAt: number | undefined
  private lost = 0
  private closed = false
  private chain: Chain
  private file!: FileHandle
  /** The bytes of the newest file that are ours. */
  private size = 0
  private segmentBegan = 0
  private rotateNotBefore = 0
  private keepers = 0
  private readonly sinks = new Set<LineSink>()
  private tampered = false
  private readonly tamperSinks: (() => void)[] = []
  private readonly headSinks: ((head: SignedHead) => void)[] = []
  readonly files: SegmentFiles
  private readonly lock: FileLock
  private readonly options: FileLogOptions

  private constructor(files: SegmentFiles, lock: FileLock, chain: Chain, options: FileLogOptions) {
    this.files = files
    this.lock = lock
    this.chain = chain
    this.options = options
  }

  /**
   * Opens the log and goes on where it ended, or begins one. Throws, in words for the operator, where another process
   * writes it, and where it was tampered with and that is to be refused.
   */
  static async open(path: string, options: FileLogOptions): Promise<FileAuditLog> {
    const files = new SegmentFiles(path)
    const lock = await takeLogLock(files.lock, options.lockWaitMs)
    try {
      const found = await recover(files, options.signer.publicKey)
      if (found.state === 'tampered' && options.onTamper === 'refuse') {
        throw new Error(
          `the audit log was tampered with: ${found.problem.says}. Keep its files for whoever looks into it, move them away, and start again; or set audit.onTamper to continue`,
        )
      }
      const chain = found.state === 'sound' ? found.chain : new Chain({ log: newLogId(options.random), segment: 0 })
      const log = new FileAuditLog(files, lock, chain, options)
      if (found.state === 'tampered') await log.beginAnew('start', found.problem, found.log)
      else if (found.state === 'unchained') await log.beginChained()
      else if (found.state === 'none') await log.beginFile(chain)
      else await log.goOn(found)
      return log
    } catch (error) {
      lock.release()
      throw error
    }
  }

  /** Calls back with lines once they are written, until the function that it answers is called. */
  addSink(sink: LineSink): () => void {
    this.sinks.add(sink)
    return () => this.sinks.delete(sink)
  }

  /** Calls back with each head once it is on the disk. */
  onHead(listener: (head: SignedHead) => void): void {
    this.headSinks.push(listener)
  }

  /** Calls back when the log is found tampered with, at once where that was at its opening. */
  onTampered(listener: () => void): void {
    this.tamperSinks.push(listener)
    if (this.tampered) listener()
  }

  append(entry: AuditEntry): void {
    this.appendLine(encodeEntry(entry))
  }

  appendLine(members: string): void {
    if (this.waitingBytes > keptBytesMax) this.lost++
    else this.keep(encodeMembers(members, this.options.clock()))
  }

  private keep(record: string): void {
    this.waiting.push(record)
    this.waitingBytes += record.length
    this.waitingSince ??= this.options.clock()
    this.timer ??= setTimeout(() => void this.flush(false).catch(() => undefined), this.options.flushMs)
    this.headTimer ??= setTimeout(() => void this.signHead().catch(() => undefined), this.options.headMs).unref()
  }

  async commit(entry: AuditEntry): Promise<void> {
    if (this.closed) throw new Fault('audit.unavailable', { reason: 'closed' })
    this.keep(encodeMembers(encodeEntry(entry), this.options.clock()))
    await this.flush(true)
  }

  /** Signs all that was recorded so far, where something is not signed yet, and answers when that is on the disk. */
  async signHead(): Promise<void> {
    await this.flush(true, true)
  }

  /** Writes what waits, and answers how many bytes the newest file then has. */
  async written(): Promise<number> {
    await this.flush(false)
    return this.size
  }

  /** Closes and removes no file until the function that it answers is called. */
  keepFiles(): () => void {
    this.keepers++
    return () => void this.keepers--
  }

  /** What waits to be written, and for how long. */
  backlog(): { readonly bytes: number; readonly lagMs: number } {
    const { waitingSince, waitingBytes } = this
    return {
      bytes: waitingBytes,
      lagMs: waitingSince === undefined ? 0 : Math.max(0, this.options.clock() - waitingSince),
    }
  }

  check(): void {
    if (this.failedAt !== undefined || this.waitingBytes > waitingBytesMax || this.closed)
      throw new Fault('audit.unavailable')
  }

  async close(): Promise<void> {
    this.closed = true
    try {
      await this.flush(true, true)
    } finally {
      clearTimeout(this.timer)
      clearTimeout(this.headTimer)
      await this.file.close()
      this.lock.release()
    }
  }

  /** Writes all that waits; writes never overlap. Rejects where the disk does. */
  private flush(sync: boolean, head = false): Promise<void> {
    clearTimeout(this.timer)
    this.timer = undefined
    const write = this.writing.then(() => this.write(sync, head))
    this.writing = write.catch(() => undefined)
    return write
  }

  private async write(sync: boolean, head: boolean): Promise<void> {
    const records = this.waiting
    this.waiting = []
    for (const record of records) this.seal(record)
    if (head) this.sealHead()
    await this.writeOut(sync || head)
    if (this.isFileDue()) await this.rotate()
  }

  private seal(record: string): void {
    this.sealed.push(record)
    this.lines.push(this.chain.seal(record))
  }

  private sealEntry(entry: AuditEntry): void {
    this.seal(encodeMembers(encodeEntry(entry), this.options.clock()))
  }

  private sealHead(): void {
    clearTimeout(this.headTimer)
    this.headTimer = undefined
    if (this.chain.unsigned === 0) return
    const { head, leaf } = this.chain.sealHead(this.options.signer, this.options.clock())
    this.lines.push(leaf)
    this.freshHeads.push(head)
  }

  /** Brings what is sealed to the disk. */
  private async writeOut(sync: boolean): Promise<void> {
    try {
      await this.checkFile()
      let bytes = this.lines.bytes()
      if (bytes.length > 0) await this.file.appendFile(bytes)
      if (this.lost > 0) {
        this.sealEntry(lossEntry(this.lost))
        this.lost = 0
        const all = this.lines.bytes()
        await this.file.appendFile(all.subarray(bytes.length))
        bytes = all
      }
      if (sync || this.freshHeads.length > 0) await this.file.datasync()
      this.size += bytes.length
    } catch (cause) {
      if (this.failedAt === undefined) this.options.onFailure(cause)
      this.failedAt = this.options.clock()
      if (!this.closed) this.timer ??= setTimeout(() => void this.flush(false).catch(() => undefined), retryMs).unref()
      throw new Fault('audit.unavailable', { cause })
    }
    const lines = this.sinks.size === 0 ? '' : this.lines.text()
    this.failedAt = undefined
    this.sealed = []
    this.lines.clear()
    this.waitingBytes = this.waiting.reduce((sum, record) => sum + record.length, 0)
    this.waitingSince = this.waiting.length === 0 ? undefined : this.options.clock()
    if (lines !== '') for (const sink of this.sinks) sink(lines)
    await this.tellHeads()
  }

  /** Finds the file as it was left. What a write left that failed part of the way is cut off: all of it is written again. */
  private async checkFile(): Promise<void> {
    const { size, nlink, ino } = await this.file.stat()
    // Written on, it would take every record and show none.
    if (nlink === 0) throw new Error('the audit log was removed while the server writes it; start again')
    if (this.freshHeads.length > 0 && (await stat(this.files.active)).ino !== ino)
      throw new Error('another file was put in the place of the audit log while the server writes it; start again')
    if (size === this.size) return
    if (this.failedAt !== undefined && size > this.size && (await this.isOwn(size))) {
      await this.file.truncate(this.size)
      return
    }
    const says = size > this.size ? 'someone else wrote into the log' : 'the end of the log was cut off'
    if (this.options.onTamper === 'refuse') throw new Error(`${says} while the server writes it; start again`)
    await this.beginAnew('running', { kind: 'edited', says }, this.chain.log)
  }

  private async isOwn(size: number): Promise<boolean> {
    const left = Buffer.alloc(size - this.size)
    await this.file.read(left, 0, left.length, this.size)
    return this.lines.bytes().subarray(0, left.length).equals(left)
  }

  private async tellHeads(): Promise<void> {
    const heads = this.freshHeads
    if (heads.length === 0) return
    try {
      await appendFile(this.files.heads, heads.map((head) => `${JSON.stringify(head)}\n`).join(''), { mode: 0o600 })
      this.freshHeads = []
    } catch (cause) {
      // They are in the log, too; the next ones take them along.
      this.options.onFailure(cause)
      await cutTornLine(this.files.heads).catch(() => undefined)
      return
    }
    for (const head of heads) for (const tell of this.headSinks) tell(head)
  }

  private isFileDue(): boolean {
    if (this.keepers > 0) return false
    const { clock, segmentBytes, segmentMs } = this.options
    const now = clock()
    return (this.size >= segmentBytes || now - this.segmentBegan >= segmentMs) && now >= this.rotateNotBefore
  }

  /** Closes the file with a head and begins the next; then removes files that have been kept long enough. */
  private async rotate(): Promise<void> {
    try {
      this.sealHead()
      await this.writeOut(true)
      const next = this.chain.clone()
      next.segment++
      await this.beginFile(next, this.chain.segment)
      await this.prune()
    } catch (cause) {
      this.rotateNotBefore = this.options.clock() + rotationRetryMs
      if (!(cause instanceof Fault)) this.options.onFailure(cause)
    }
  }

  /**
   * Makes the next file whole before it gets its name, so that none is ever found half made. `closes` is the number that the
   * one before gets.
   */
  private async beginFile(next: Chain, closes?: number): Promise<void> {
    const { files, options } = this
    const began = options.clock()
    const before = this.file as FileHandle | undefined
    await rm(files.draft, { force: true })
    const file = await open(files.draft, 'ax+', 0o600)
    try {
      const first = new LineBatch()
      first.push(next.sealSegment(began))
      const bytes = first.bytes()
      await file.appendFile(bytes)
      await file.datasync()
      await files.begin(closes)
      this.size = bytes.length
    } catch (error) {
      await file.close()
      throw error
    }
    this.file = file
    this.chain = next
    this.segmentBegan = began
    await before?.close()
  }

  /** Goes on with the newest file, or behind it, and says what a crash left without a signature. */
  private async goOn({ size, torn, began }: Extract<Recovered, { state: 'sound' }>): Promise<void> {
    const { unsigned } = this.chain
    if (size === undefined) {
      const next = this.chain.clone()
      next.segment++
      await this.beginFile(next)
    } else {
      this.file = await open(this.files.active, 'a+', 0o600)
      if (torn > 0) await this.file.truncate(size)
      this.size = size
      this.segmentBegan = began
    }
    if (unsigned === 0 && torn === 0) return
    this.append(recoveredEntry({ unsigned, torn }))
    await this.flush(true, true)
  }

  /**
   * Leaves a log that was tampered with as it is, under another name, and begins a new one that names it. What waits goes to
   * the new one.
   */
  private async beginAnew(when: 'start' | 'running', problem: Tampering, log: string | undefined): Promise<void> {
    this.tampered = true
    for (const tell of this.tamperSinks) tell()
    this.options.onFailure(new Error(`the audit log was tampered with: ${problem.says}; a new one is begun beside it`))
    const aside = await this.files.setAside()
    const digest = aside === undefined ? {} : { file: basename(aside.path), ...(await fileDigest(aside.path)) }
    const next = new Chain({ log: newLogId(this.options.random), replaces: log, segment: (aside?.segment ?? -1) + 1 })
    await this.beginFile(next)
    const waiting = this.sealed
    this.sealed = []
    this.lines.clear()
    this.freshHeads = []
    this.sealEntry(tamperEntry(when, problem, log, digest))
    for (const record of waiting) this.seal(record)
    this.sealHead()
    if (when === 'start') await this.writeOut(true)
  }

  /** Puts aside what an earlier version wrote, and begins a log whose first record says which file that was. */
  private async beginChained(): Promise<void> {
    const { active, unchained } = this.files
    const entry = upgradeEntry({ file: basename(unchained), ...(await fileDigest(active)) })
    await rename(active, unchained)
    await this.beginFile(this.chain)
    await this.commit(entry)
  }

  /** Says what will go, signs that, and only then removes it. */
  private async prune(): Promise<void> {
    const due = await dueForPruning(this.files, this.options, this.options.clock())
    if (due === undefined) return
    for (const entry of pruneEntries(due)) this.sealEntry(entry)
    this.sealHead()
    await this.writeOut(true)
    for (const path of due.files) await rm(path)
    await this.files.forgetHeads(new Map(due.left.map(({ log, first }) => [log, first])))
  }
}
