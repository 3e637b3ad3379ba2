import type { AuditRecord } from './audit-reader.ts'

/** The columns of an export, in this order; what else a record has is in `detail`. */
const columns = [
  'seq',
  'timestamp',
  'level',
  'type',
  'success',
  'tenant',
  'principal',
  'clientId',
  'ip',
  'requestId',
  'method',
  'tool',
  'target',
  'scope',
  'code',
  'reason',
  'action',
  'by',
  'key',
  'outcome',
  'durationMs',
  'detail',
] as const

const known: ReadonlySet<string> = new Set([...columns, 'prev'])

export const csvHeader = `${columns.join(',')}\r\n`

/** One record as a line of CSV (RFC 4180). */
export function csvLine(record: AuditRecord): string {
  return `${columns.map((column) => csvCell(column === 'detail' ? detailOf(record) : record[column])).join(',')}\r\n`
}

function detailOf(record: AuditRecord): unknown {
  const others = Object.entries(record).filter(([name]) => !known.has(name))
  if (others.length === 0) return record['detail']
  return { ...(record['detail'] as Readonly<Record<string, unknown>> | undefined), ...Object.fromEntries(others) }
}

/** What a spreadsheet takes for the beginning of a formula, in plain and in wide form. */
const formula = /^[\s]*[=+\-@|%\uff1d\uff0b\uff0d\uff20]/

/**
 * One cell, always in quotes. A text that a spreadsheet would calculate gets an apostrophe before it, and a character that
 * moves, hides or turns others is written as its code.
 */
export function csvCell(value: unknown): string {
  if (value === undefined || value === null) return ''
  if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  const text = printable(typeof value === 'string' ? value : JSON.stringify(value))
  return `"${(formula.test(text) ? `'${text}` : text).replaceAll('"', '""')}"`
}

function printable(text: string): string {
  return text.replace(
    /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]/gu,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
