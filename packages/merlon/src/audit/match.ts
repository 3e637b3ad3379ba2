import type { Instant } from '../call.ts'
import { auditText } from './audit-log.ts'
import type { AuditFilter, AuditRecord } from './audit-reader.ts'
import { parseRecord } from './record-line.ts'

/** The record in a line, if it fits. */
export type Match = (line: Buffer) => AuditRecord | undefined

/**
 * A filter as a test of lines. Most lines are passed over by their bytes alone; only what may fit is read as JSON and held
 * to the filter member by member.
 */
export function matcher({ reach, from, to, success, ...texts }: AuditFilter): Match {
  const wanted = new Map(Object.entries(texts).filter((entry): entry is [string, string] => entry[1] !== undefined))
  if ('tenant' in reach) wanted.set('tenant', reach.tenant)
  else if (reach.everyTenant !== true) throw new TypeError('no reach was named')
  const needles = [...wanted].map(([name, value]) => Buffer.from(`"${name}":${auditText(value)}`))
  if (success !== undefined) needles.push(Buffer.from(`"success":${success}`))
  const members = [...wanted]
  return (line) => {
    for (const needle of needles) if (!line.includes(needle)) return undefined
    const record = parseRecord(line.toString('utf8')) as AuditRecord | undefined
    if (record === undefined) return undefined
    for (const [name, value] of members) if (record[name] !== value) return undefined
    if (success !== undefined && record.success !== success) return undefined
    return isWithin(record.timestamp, from, to) ? record : undefined
  }
}

function isWithin(timestamp: string, from: Instant | undefined, to: Instant | undefined): boolean {
  if (from === undefined && to === undefined) return true
  const at = Date.parse(timestamp)
  return (from === undefined || at >= from) && (to === undefined || at < to)
}
