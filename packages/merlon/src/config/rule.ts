import type { Config } from './schema.ts'

/** What one rule finds. `paths` are the settings it looked at, the one to mend first. */
export interface Finding {
  readonly paths: readonly [string, ...string[]]
  readonly says: string
  readonly fix: string
}

export interface Rule {
  /** The promise, as a sentence. */
  readonly promise: string
  /** Its number in the configuration audit, which tells more about it. */
  readonly id: string
  /** Whether a finding stops the start or is only said. */
  readonly severity: 'error' | 'warning'
  check(config: Config): readonly Finding[]
}

const none: readonly Finding[] = []

export function when(found: boolean, finding: Finding): readonly Finding[] {
  return found ? [finding] : none
}
