import type { ConfigInput } from '../../packages/merlon/src/config/schema.ts'
import type { RequirementId } from '../requirement/requirements.ts'
import type { Answer } from './connection.ts'
import type { AuditLine, Target } from './harness.ts'

/** What the attacker gets, and what remains. */
export interface Expected {
  readonly status?: number
  /** The word of the error table. */
  readonly code?: string
  /** The JSON-RPC number. */
  readonly rpc?: number
  /** Headers of the answer; `null`: must not be there. */
  readonly headers?: Readonly<Record<string, string | RegExp | null>>
  /** The members that a record must have; several where several are left. */
  readonly audit?: AuditLine | readonly AuditLine[]
  /** Notes that are written. Default none: a refused call leaves nothing behind. */
  readonly notes?: number
  /** Failures of ours that are meant: 503, 504. Default none. */
  readonly ours?: readonly number[]
}

/** One row of the corpus. */
export interface AttackCase {
  /** Of the corpus (`O-014`), or `X-…` for what we added. */
  readonly id: string
  /** Which of several attempts this is. */
  readonly sub?: string
  readonly area: string
  readonly requirement: readonly RequirementId[]
  /** What holds, as a sentence. */
  readonly title: string
  /** Settings over the usual ones; the case then has a server that only cases with the same settings share. */
  readonly config?: ConfigInput
  /** A server of its own: the case moves the clock, ends keys or fills something up. */
  readonly alone?: true
  /** Tools that may run although the case expects no notes. */
  readonly may?: readonly string[]
  /** Attacks. Each answer it gives back is held against `expect`; what it checks itself it checks with `expect` of vitest. */
  readonly send: (target: Target) => Promise<Answer | readonly Answer[] | undefined>
  readonly expect?: Expected
}

/** Rows that differ in what is sent, and not in what holds. */
export function each(
  common: Omit<AttackCase, 'sub' | 'send'>,
  sends: Readonly<Record<string, AttackCase['send']>>,
): readonly AttackCase[] {
  return Object.entries(sends).map(([sub, send]) => ({ ...common, sub, send }))
}
