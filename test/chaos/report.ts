import type { Outcome } from './chaos.ts'
import { percentile } from './ledger.ts'

/** The figures of a run, a line each. */
export function figures({ ledger, outages, ms, callsPerSecond }: Outcome): string {
  const seconds = ms / 1_000
  const times = (values: readonly number[]) =>
    `${percentile(values, 0.5)} ms half, ${percentile(values, 0.99)} ms 99 %, ${percentile(values, 1)} ms most`
  return [
    `${seconds.toFixed(0)} s: ${outages.kills} kills, ${outages.redisFreezes} freezes and ${outages.redisKills} kills of Redis, ${outages.postgresRestarts} restarts of PostgreSQL`,
    `calls: ${ledger.calls} answered, ${ledger.unanswered} not answered, ${ledger.refused} put off; ${callsPerSecond.toFixed(0)} calls/s of all kinds`,
    `streams: ${ledger.streams} with ${ledger.events} events, ${ledger.resumes} resumes, ${ledger.orphans} ended with the error of a server that died`,
    `questions answered: ${ledger.questions}; sessions: ${ledger.sessions} opened, ${ledger.ended} ended; keys taken back: ${ledger.revoked}`,
    `lost: ${ledger.lost}; twice: ${ledger.twice}; strangers: ${ledger.strangers}, admitted: ${ledger.admitted}; violations: ${ledger.violations.length}`,
    `a call: ${times(ledger.callMs)}`,
    `until a lost stream goes on: ${times(ledger.resumeMs)}`,
    `until a killed server serves again: ${times(ledger.startMs)}`,
    `until a key that was taken back is refused: ${times(ledger.revokeMs)}`,
    `while parts were down: ${ledger.notes || 'nothing else'}`,
  ].join('\n')
}
