import { expect, test } from 'vitest'
import type { AuditVerdict } from '../audit/audit-reader.ts'
import { verifyCommand } from './audit-verify.ts'

const log = 'c8df9aaed9f0'.padEnd(32, '0')
const says = (found: { first: number; size: number; signed: number }): string => {
  const records = found.size - found.first
  const verdict: AuditVerdict = { ok: true, records, problems: [], logs: [{ log, segments: 1, ...found }] }
  return verifyCommand.says!(verdict as never, {} as never) as string
}

test('how many records are signed is told of those that are there, where retention removed the first', () => {
  expect(says({ first: 2884, size: 6070, signed: 6069 })).toBe(
    'log c8df9aaed9f0: records 2884 to 6069, 3185 of them signed\n3186 records are as they were written',
  )
  expect(says({ first: 0, size: 31, signed: 31 })).toContain('records 0 to 30, 31 of them signed')
})

test('where no head covers what retention left, none of it is signed', () => {
  expect(says({ first: 2884, size: 2890, signed: 0 })).toContain('records 2884 to 2889, 0 of them signed')
})
