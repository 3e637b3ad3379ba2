import { expect, test } from 'vitest'
import type { AuditEntry } from './audit-log.ts'
import { StrangerLog } from './stranger-log.ts'

const refusal = { type: 'auth', success: false, level: 'warn', code: 'MISSING_API_KEY' } as const

function logged() {
  const clock = { now: 1_800_000_000_000 }
  const entries: AuditEntry[] = []
  const log = new StrangerLog({ append: (entry) => void entries.push(entry) }, () => clock.now)
  const counts = () => entries.filter(({ reason }) => reason === 'refusals-counted').map(({ outcome }) => outcome)
  return {
    clock,
    entries,
    log,
    counts,
    refuse: (times: number) => Array.from({ length: times }, () => log.append(refusal)),
  }
}

test('AL-07: beyond a thousand in a minute strangers are counted, and none is lost from the count', () => {
  const { clock, entries, counts, refuse } = logged()
  refuse(5_000)
  expect(entries).toHaveLength(1_000)
  clock.now += 59_999
  refuse(1)
  expect(entries).toHaveLength(1_000)
  clock.now += 1
  refuse(1)
  expect(counts()).toEqual(['4001'])
  expect(entries).toHaveLength(1_002)
})

test('what was counted is written when asked for, once', () => {
  const { log, counts, refuse } = logged()
  log.flush()
  expect(counts()).toEqual([])
  refuse(1_003)
  log.flush()
  log.flush()
  expect(counts()).toEqual(['3'])
})

test('a clock that is set back does not stop the records', () => {
  const { clock, entries, refuse } = logged()
  refuse(1_000)
  clock.now -= 3_600_000
  refuse(1)
  expect(entries).toHaveLength(1_001)
})
