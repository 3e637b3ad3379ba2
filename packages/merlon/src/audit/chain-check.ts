import { hash, type KeyObject } from 'node:crypto'
import type { AuditProblem, AuditProblemKind, AuditVerdict, VerifiedLog } from './audit-reader.ts'
import { isSigned, publicKeyId, type SignedHead } from './head.ts'
import { CompactRange } from './merkle.ts'
import { lineHeadBytesMax, parseHeadLine, parseLineHead, parseRecord, parseSegment } from './record-line.ts'
import { type FoundLine, whatHappened } from './what-happened.ts'

/** Types whose records say something of the log itself, so that more than their beginning is read. */
const ownTypes: ReadonlySet<string> = new Set(['segment', 'head', 'audit'])

/** How far a log was followed. */
export interface LogState {
  readonly log: string
  readonly first: number
  readonly replaces: string | undefined
  segment: number
  segments: number
  range: CompactRange
  /** The hash of the last line. */
  prev: string
  /** How many records the last valid head covers. */
  signed: number
  /** What retention removed, as its records say: of which log, and the first that it left. */
  pruned: { readonly seq: number; readonly log: string; readonly first: number }[]
  /** Heads from elsewhere that are still to be met, the smallest first, and how much the greatest of all covers. */
  kept: SignedHead[]
  readonly keptSize: number
  /** Heads from elsewhere that say something else. */
  contradicted: SignedHead[]
  /** Whether the chain broke: nothing is known until the next file begins. */
  broken: boolean
}

/**
 * Follows the lines of logs, file by file, and finds where they are not what was written. Knows the public key, and heads
 * that were kept elsewhere. It checks again from the next file on after the place where a chain breaks.
 */
export class ChainCheck {
  readonly problems: AuditProblem[] = []
  /** The log that was read last. */
  current: LogState | undefined
  private readonly logs: VerifiedLog[] = []
  private readonly publicKey: KeyObject
  private readonly keyId: string
  private readonly kept = new Map<string, SignedHead[]>()
  private readonly pruned = new Map<string, number>()
  private records = 0
  private file = ''
  private lineNumber = 0
  private before: FoundLine | undefined
  /** A line that does not fit, and up to two that follow: only together they tell what happened. */
  private suspect: FoundLine[] = []

  constructor(publicKey: KeyObject, kept: readonly SignedHead[] = []) {
    this.publicKey = publicKey
    this.keyId = publicKeyId(publicKey)
    for (const head of kept) {
      if (head.keyId === this.keyId && isSigned(head, publicKey)) {
        const heads = this.kept.get(head.log)
        if (heads === undefined) this.kept.set(head.log, [head])
        else heads.push(head)
      } else this.find('head-invalid', `a head of ${head.size} records that was kept is not signed by this key`)
    }
    for (const heads of this.kept.values()) heads.sort((left, right) => left.size - right.size)
  }

  startFile(name: string): void {
    this.settle()
    this.file = name
    this.lineNumber = 0
  }

  /** Takes a line without its end. The byte before `start` is overwritten. */
  line(buffer: Buffer, start: number, end: number): void {
    this.lineNumber++
    this.records++
    buffer[start - 1] = 0
    const leaf = hash('sha256', buffer.subarray(start - 1, end), 'base64url')
    const head = parseLineHead(buffer.toString('latin1', start, Math.min(end, start + lineHeadBytesMax)))
    const whole = this.lineNumber === 1 || (head !== undefined && ownTypes.has(head.type))
    const text = whole ? buffer.toString('utf8', start, end) : ''
    const found = { head, leaf, text, file: this.file, number: this.lineNumber }
    if (this.suspect.length > 0) {
      this.suspect.push(found)
      if (this.suspect.length === 3) this.settle()
    } else this.take(found)
  }

  endFile(torn: number): void {
    this.settle()
    if (torn > 0) {
      this.lineNumber++
      const says = `the last line of ${this.file} is cut short, by a crash of the server or by hand`
      this.find('truncated', says, { seq: this.current?.range.size, line: this.lineNumber })
    }
  }

  finish(): AuditVerdict {
    this.settle()
    this.endLog()
    for (const { log, first } of this.logs) {
      const removed = this.pruned.get(log) ?? 0
      if (first > removed) {
        const says = `the log begins with record ${first}, and retention removed those before ${removed}`
        this.find('beginning-missing', says, { log, seq: removed })
      }
    }
    for (const [log, heads] of this.kept) {
      const size = heads.at(-1)!.size
      this.find('replaced', `a head covers ${size} records of the log ${log}, and no record of it is here`, { log })
    }
    return { ok: this.problems.length === 0, problems: this.problems, logs: this.logs, records: this.records }
  }

  private take(found: FoundLine): void {
    if (found.number === 1) this.takeFirst(found)
    else if (this.current !== undefined && !this.current.broken) this.follow(this.current, found)
  }

  private takeFirst(found: FoundLine): void {
    const segment = found.head?.type === 'segment' ? parseSegment(found.text) : undefined
    const { current } = this
    const { head } = found
    if (segment === undefined || head === undefined) {
      if (current !== undefined && !current.broken) this.suspect = [found]
      else this.find('edited', `${found.file} does not begin as a file of the log does`, { line: 1 })
      if (current !== undefined) current.broken = true
      return
    }
    const fits = current !== undefined && head.seq === current.range.size && head.prev === current.prev
    if (current !== undefined && !current.broken && (current.log === segment.log || fits)) {
      current.segments++
      current.segment = segment.segment
      this.follow(current, found)
      return
    }
    let range: CompactRange
    try {
      range = CompactRange.from(head.seq, segment.peaks)
    } catch {
      this.find('edited', `the first line of ${found.file} does not fit itself`, { line: 1, seq: head.seq })
      if (current !== undefined) current.broken = true
      return
    }
    if (current?.log === segment.log) {
      Object.assign(current, { range, prev: head.prev, broken: false, segment: segment.segment })
      current.segments++
    } else {
      this.endLog()
      this.beginLog(segment, head.seq, head.prev, range)
    }
    this.accept(this.current!, found)
  }

  private beginLog(
    { log, segment, replaces }: { log: string; segment: number; replaces?: string | undefined },
    seq: number,
    prev: string,
    range: CompactRange,
  ): void {
    const kept = this.kept.get(log) ?? []
    this.kept.delete(log)
    this.current = {
      log,
      first: seq,
      replaces,
      segment,
      segments: 1,
      range,
      prev,
      signed: 0,
      pruned: [],
      kept: kept.filter(({ size }) => size >= seq),
      keptSize: kept.at(-1)?.size ?? -1,
      contradicted: [],
      broken: false,
    }
    this.before = undefined
    this.meetKept(this.current)
  }

  /** Takes the line that should come next, or begins to suspect it. */
  private follow(state: LogState, found: FoundLine): void {
    const { head } = found
    const fits = head !== undefined && head.seq === state.range.size && head.prev === state.prev
    const segment = fits && found.number === 1 ? parseSegment(found.text) : undefined
    const asItShould =
      found.number !== 1 || (segment?.log === state.log && segment.peaks.join() === state.range.peaks().join())
    if (fits && asItShould) this.accept(state, found)
    else if (fits) {
      this.find('edited', `the first line of ${found.file} was changed`, { seq: head.seq, line: 1, file: found.file })
      state.broken = true
    } else this.suspect = [found]
  }

  private accept(state: LogState, found: FoundLine): void {
    const { type, seq } = found.head!
    if (type === 'head') this.takeHead(state, found)
    else if (type === 'audit') this.takeOwn(state, found, seq)
    if (state.broken) return
    state.range.append(found.leaf)
    state.prev = found.leaf
    this.before = found
    this.meetKept(state)
  }

  private takeHead(state: LogState, found: FoundLine): void {
    const head = parseHeadLine(found.text, found.head!)
    const place = { seq: found.head!.seq, line: found.number, file: found.file }
    if (head === undefined) {
      this.find('edited', 'the record of a head was changed', place)
    } else if (head.log !== state.log || head.keyId !== this.keyId || !isSigned(head, this.publicKey)) {
      this.find('head-invalid', 'the head is not signed by this key', place)
    } else if (head.root !== state.range.root()) {
      const says = `the records from ${state.signed} to ${head.size - 1} are not those that were signed: they were written anew`
      this.find('rewritten', says, { ...place, seq: state.signed })
    } else {
      state.signed = head.size + 1
      return
    }
    state.broken = true
  }

  /** Retention and tampering that the server found are told in the log itself. */
  private takeOwn(state: LogState, found: FoundLine, seq: number): void {
    const record = parseRecord(found.text)
    const detail = record?.['detail'] as Readonly<Record<string, unknown>> | undefined
    if (record?.['action'] === 'prune' && Number.isSafeInteger(detail?.['first'])) {
      state.pruned.push({ seq, log: String(detail?.['log']), first: detail?.['first'] as number })
    }
    if (record?.['action'] === 'tamper') {
      const says = `the server found this when it ${detail?.['when'] === 'running' ? 'wrote' : 'started'}: ${String(detail?.['says'])}`
      this.find('found-tampered', says, { seq, line: found.number, file: found.file })
    }
  }

  private meetKept(state: LogState): void {
    while (state.kept[0] !== undefined && state.kept[0].size <= state.range.size) {
      const head = state.kept.shift()!
      if (head.size === state.range.size && head.root !== state.range.root()) state.contradicted.push(head)
    }
  }

  /** Says what happened where a line did not fit, and goes on where that is possible. */
  private settle(): void {
    const { current, before } = this
    const [suspect, ...after] = this.suspect
    this.suspect = []
    if (suspect === undefined || current === undefined) return
    const expected = { seq: current.range.size, prev: current.prev }
    if (this.isHeadOf(current, suspect)) {
      const says = `record ${expected.seq} was changed: it is the head of what stands before it, and names another line`
      this.find('edited', says, { seq: expected.seq, line: suspect.number, file: suspect.file })
    } else {
      const { kind, says, at, seq } = whatHappened(expected, before, suspect, after)
      this.find(kind, says, { seq, line: at.number, file: at.file })
    }
    current.broken = true
    for (const each of suspect.number === 1 ? [suspect, ...after] : after) this.take(each)
  }

  /** Whether the line is a head that proves all before it: then it was not they that changed. */
  private isHeadOf(state: LogState, { head, text }: FoundLine): boolean {
    const signed = head?.type === 'head' ? parseHeadLine(text, head) : undefined
    return signed?.root === state.range.root() && isSigned(signed, this.publicKey)
  }

  private endLog(): void {
    const { current } = this
    this.current = undefined
    if (current === undefined) return
    const { log, first, range, signed, segments, keptSize, contradicted, pruned, broken } = current
    const { size } = range
    this.logs.push({ log, first, size, signed: Math.min(signed, size), segments })
    const sound = !this.problems.some((problem) => problem.log === log && problem.kind !== 'found-tampered')
    for (const head of contradicted.slice(0, 1)) {
      const kind = signed > head.size ? 'forked' : 'rewritten'
      const says =
        kind === 'forked'
          ? `a head of ${head.size} records that was kept and one in the log are both signed and differ`
          : `the first ${head.size} records are not those of a signed head that was kept`
      if (sound) this.find(kind, says, { log, seq: head.size - 1 })
    }
    // A head is a record itself, on the disk before it is told: there is one more than it covers.
    if (keptSize >= size && !broken) {
      const says = `a head covers ${keptSize} records, and the log ends after ${size}: its end was removed, or it is an older copy`
      this.find('truncated', says, { log, seq: size })
    }
    // What no head covers could have been written by anybody.
    for (const each of pruned) {
      if (each.seq < signed) this.pruned.set(each.log, Math.max(each.first, this.pruned.get(each.log) ?? 0))
    }
    if (signed === 0 && sound) this.find('unsigned', 'no head in the log is signed by this key', { log, seq: first })
  }

  private find(
    kind: AuditProblemKind,
    says: string,
    place: { log?: string; seq?: number | undefined; line?: number; file?: string } = {},
  ): void {
    const { line } = place
    this.problems.push({
      kind,
      log: place.log ?? this.current?.log,
      seq: place.seq,
      file: place.file ?? (line === undefined ? undefined : this.file),
      line,
      says,
    })
  }
}
