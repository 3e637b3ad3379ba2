import type { AuditProblemKind } from './audit-reader.ts'
import type { LineHead } from './record-line.ts'

/** A line that was read. */
export interface FoundLine {
  /** `undefined` where it does not begin as our lines do. */
  readonly head: LineHead | undefined
  readonly leaf: string
  /** The whole line, where it may say something of the log itself. */
  readonly text: string
  readonly file: string
  readonly number: number
}

export interface Happening {
  readonly kind: AuditProblemKind
  /** The line where it is. */
  readonly at: FoundLine
  /** The number that the record there has, or should have. */
  readonly seq: number
  readonly says: string
}

/**
 * What was done to a log where `suspect` does not fit: `expected` is the place where a line was due, `before` the line that
 * stood before it, `after` up to two that follow. A line names the hash of the one before, so that it takes the next line
 * to tell which of two was changed.
 */
export function whatHappened(
  expected: { readonly seq: number; readonly prev: string },
  before: FoundLine | undefined,
  suspect: FoundLine,
  [next, second]: readonly FoundLine[],
): Happening {
  const { seq, prev } = expected
  const { head } = suspect
  const edited = (at = suspect, number = seq): Happening => ({
    kind: 'edited',
    at,
    seq: number,
    says: `record ${number} was changed`,
  })
  const inserted = (at: FoundLine, number: number): Happening => ({
    kind: 'inserted',
    at,
    seq: number,
    says: `a line was put in where record ${number} belongs`,
  })
  const nextIsDue = next?.head?.seq === seq && next.head.prev === prev

  if (head === undefined) return nextIsDue ? inserted(suspect, seq) : edited()
  if (nextIsDue) {
    const swapped = head.seq === seq + 1 && head.prev === next.leaf && second?.head?.seq !== seq + 1
    return swapped ? reordered(suspect, seq) : inserted(suspect, seq)
  }
  if (head.seq === seq) {
    // The chain breaks between two lines. Where the next line still fits this one, it was the one before.
    const fitsOn = next?.head === undefined || next.head.prev === suspect.leaf
    return fitsOn && before !== undefined ? edited(before, seq - 1) : edited()
  }
  if (before !== undefined && head.seq === seq - 1 && head.prev === before.head?.prev) {
    // Two lines for one place: the one that the next line names was there first.
    return suspect.leaf === prev || next?.head?.prev === prev ? inserted(suspect, seq) : inserted(before, seq - 1)
  }
  if (next?.head?.seq === seq + 1) return head.prev === prev ? edited() : reordered(suspect, seq)
  if (head.seq > seq) {
    const last = head.seq - 1
    const which = last === seq ? `record ${seq} is` : `records ${seq} to ${last} are`
    return { kind: 'removed', at: suspect, seq, says: `${which} missing` }
  }
  return inserted(suspect, seq)
}

function reordered(at: FoundLine, seq: number): Happening {
  return { kind: 'reordered', at, seq, says: `another record stands where record ${seq} belongs` }
}
