import type { Clock, RandomBytes } from '../call.ts'
import type { HeadSigner } from './head.ts'
import type { Retention } from './retention.ts'

export interface FileLogOptions extends Retention {
  readonly signer: HeadSigner
  readonly clock: Clock
  readonly random?: RandomBytes
  /** How long a record of a call may wait in memory. */
  readonly flushMs: number
  /** How long a record may stand without a signed head. */
  readonly headMs: number
  /** A file is closed when it is larger, or older. */
  readonly segmentBytes: number
  readonly segmentMs: number
  /** What to do with a log that was tampered with: begin a new one beside it, or refuse. */
  readonly onTamper: 'continue' | 'refuse'
  /** How long to wait for another process that writes the log. */
  readonly lockWaitMs: number
  readonly onFailure: (cause: unknown) => void
}

/** Takes lines that are on the disk. Must not throw, and must not keep the log waiting. */
export type LineSink = (lines: string) => void
