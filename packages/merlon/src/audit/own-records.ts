import { basename } from 'node:path'
import type { AuditEntry } from './audit-log.ts'
import type { AuditProblem } from './audit-reader.ts'
import type { Pruning } from './retention.ts'

/** What was found. */
export type Tampering = Pick<AuditProblem, 'kind' | 'says'>

/** The first record of a log that goes on for one that was tampered with. */
export function tamperEntry(
  when: 'start' | 'running',
  { kind, says }: Tampering,
  log: string | undefined,
  aside: Readonly<Record<string, string | number>>,
): AuditEntry {
  const detail = { when, says, ...(log === undefined ? {} : { log }), ...aside }
  return { type: 'audit', success: false, level: 'error', action: 'tamper', reason: kind, detail }
}

/** The first record of a log that begins where a version left off that did not chain its records. */
export function upgradeEntry(detail: Readonly<Record<string, string | number>>): AuditEntry {
  return { type: 'audit', success: true, level: 'warn', action: 'upgrade', detail }
}

/** What a crash left: records without a head, and bytes of a line without its end. */
export function recoveredEntry(detail: { readonly unsigned: number; readonly torn: number }): AuditEntry {
  return { type: 'audit', success: true, level: 'warn', action: 'recovered', detail }
}

/** What retention is about to remove: one record for each log that loses some. */
export function pruneEntries({ files, left }: Pruning): readonly AuditEntry[] {
  const names = files.map((path) => basename(path))
  const logs = left.length === 0 ? [{}] : left
  return logs.map((each) => ({
    type: 'audit',
    success: true,
    level: 'info',
    action: 'prune',
    detail: { ...each, files: names },
  }))
}

export function lossEntry(lost: number): AuditEntry {
  return { type: 'server', success: false, level: 'error', reason: 'records-lost', outcome: String(lost) }
}
