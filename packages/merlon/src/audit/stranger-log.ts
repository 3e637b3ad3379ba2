import type { Clock } from '../call.ts'
import type { AuditEntry, AuditLog } from './audit-log.ts'

/** Records of refused strangers that are written in full in one window. */
const fullMax = 1_000
const windowMs = 60_000

/**
 * Records refusals of callers who have shown nothing. Anybody can cause them, so that beyond a thousand a minute they are
 * counted and not written: a stranger may not fill the disk, and with it stop the server. The exact number is written when
 * the window ends, and at the close (AL-07).
 */
export class StrangerLog {
  private readonly audit: Pick<AuditLog, 'append'>
  private readonly clock: Clock
  private windowEnds = 0
  private written = 0
  private counted = 0

  constructor(audit: Pick<AuditLog, 'append'>, clock: Clock) {
    this.audit = audit
    this.clock = clock
  }

  append(entry: AuditEntry): void {
    const now = this.clock()
    if (now >= this.windowEnds || now < this.windowEnds - windowMs) {
      this.flush()
      this.windowEnds = now + windowMs
      this.written = 0
    }
    if (this.written < fullMax) {
      this.written++
      this.audit.append(entry)
    } else this.counted++
  }

  /** Writes how many were counted since the last time, if any. */
  flush(): void {
    if (this.counted === 0) return
    const outcome = String(this.counted)
    this.counted = 0
    this.audit.append({ type: 'edge', success: false, level: 'warn', reason: 'refusals-counted', outcome })
  }
}
