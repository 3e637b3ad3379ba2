import { randomBytes } from 'node:crypto'
import type { Instant, RandomBytes } from '../call.ts'
import type { HeadSigner, SignedHead } from './head.ts'
import { CompactRange, hashLeaf, leafOf, noLine } from './merkle.ts'
import { chainedLine, headMembers, segmentMembers } from './record-line.ts'

/** The end of a log that is being written: what the next line must name. */
export class Chain {
  readonly log: string
  readonly replaces: string | undefined
  segment: number
  private range: CompactRange
  private prev: string
  private signed: number

  constructor(state: {
    readonly log: string
    readonly replaces?: string | undefined
    readonly segment: number
    readonly range?: CompactRange
    readonly prev?: string
    readonly signed?: number
  }) {
    this.log = state.log
    this.replaces = state.replaces
    this.segment = state.segment
    this.range = state.range ?? new CompactRange()
    this.prev = state.prev ?? noLine
    this.signed = state.signed ?? 0
  }

  /** How many records there are. */
  get size(): number {
    return this.range.size
  }

  /** How many records no head covers. A head covers itself: its every byte follows from what it signs. */
  get unsigned(): number {
    return this.range.size - this.signed
  }

  /** Gives a record its place. Answers its line, as the leaf that it is. */
  seal(members: string): string {
    const leaf = leafOf(chainedLine(this.range.size, this.prev, members))
    this.prev = hashLeaf(leaf)
    this.range.append(this.prev)
    return leaf
  }

  /** The first line of a file, as a leaf. */
  sealSegment(at: Instant): string {
    const { log, segment, replaces } = this
    const peaks = this.range.peaks()
    return this.seal(segmentMembers({ log, segment, peaks, replaces }, new Date(at).toISOString()))
  }

  /** Signs all records so far; the head is a record itself. */
  sealHead(signer: HeadSigner, at: Instant): { readonly head: SignedHead; readonly leaf: string } {
    const head = signer.sign(this.log, this.range.size, this.range.root(), at)
    const leaf = this.seal(headMembers(head))
    this.signed = this.range.size
    return { head, leaf }
  }

  clone(): Chain {
    return new Chain({ ...this.state(), range: this.range.clone() })
  }

  private state() {
    const { log, replaces, segment, range, prev, signed } = this
    return { log, replaces, segment, range, prev, signed }
  }
}

/** Names a log: never twice. */
export function newLogId(random: RandomBytes = randomBytes): string {
  return random(16).toString('hex')
}
