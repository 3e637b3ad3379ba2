import type { AuditLog } from '../audit/audit-log.ts'
import type { AuditReader } from '../audit/audit-reader.ts'
import type { Clock, ScopeSet } from '../call.ts'
import type { Agents } from '../identity/agents.ts'
import type { Doors } from '../identity/doors.ts'
import type { Keys } from '../identity/keys.ts'
import type { SecondFactors } from '../identity/second-factors.ts'
import type { SignIns } from '../identity/sign-ins.ts'
import type { SigningKeys } from '../identity/signing-keys.ts'
import type { Subjects } from '../identity/subjects.ts'
import type { Tenants } from '../identity/tenants.ts'
import type { Tokens } from '../identity/tokens.ts'
import type { Users } from '../identity/users.ts'
import type { EncryptionKeys } from '../sealing/encryption-keys.ts'
import type { RootChange } from '../sealing/root-change.ts'
import type { Sealer } from '../sealing/seal.ts'
import type { Alerts } from '../watch/alerts.ts'
import type { MetricsSnapshot } from '../watch/metrics.ts'
import type { Signal } from '../watch/signals.ts'
import type { Health } from '../watch/watch.ts'
import type { Attempts } from './attempts.ts'
import type { Sessions } from './sessions.ts'

/** What operations work with: made once for the process. */
export interface ControlParts {
  readonly clock: Clock
  readonly audit: Pick<AuditLog, 'append' | 'commit' | 'check'>
  /** The scopes of each role of the configuration. */
  readonly roles: ReadonlyMap<string, ScopeSet>
  readonly cursors: Sealer
  readonly attempts: Attempts
  readonly users: Users
  readonly tenants: Tenants
  readonly agents: Agents
  readonly keys: Keys
  readonly signIns: SignIns
  readonly secondFactors: SecondFactors
  readonly subjects: Subjects
  readonly tokens: Tokens
  readonly doors: Doors
  readonly signingKeys: SigningKeys
  readonly encryptionKeys: Pick<EncryptionKeys, 'list' | 'rotate' | 'retire' | 'destroy' | 'verify'>
  readonly rootChange: Pick<RootChange, 'kept' | 'verify' | 'rewrap'>
  readonly auditReader: AuditReader
  /** Lets this process know at once of a change that it made itself; never rejects. Others hear of it within a second. */
  readonly refresh: () => Promise<void>
  /** Undefined where the stateful revisions are switched off. */
  readonly sessions: Sessions | undefined
  /** Undefined in a process that does not serve. */
  readonly watch: ControlWatch | undefined
}

export interface ControlWatch {
  readonly alerts: Pick<Alerts, 'list' | 'find' | 'acknowledge'>
  metricsText(): string
  /** The four counts of what goes wrong with callers. */
  metricsSnapshot(): Pick<MetricsSnapshot, 'since' | Signal>
  health(): Health
}
