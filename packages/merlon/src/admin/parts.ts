import type { AuditLog } from '../audit/audit-log.ts'
import type { Clock, ScopeSet } from '../call.ts'
import type { Actor } from '../identity/actor.ts'
import type { Refusal } from '../identity/refusal.ts'
import type { User, UserChange } from '../identity/user-store.ts'
import type { Sealer } from '../sealing/seal.ts'
import type { Attempts } from './attempts.ts'

type Asked<Done> = Promise<({ readonly ok: true } & Done) | Refusal>

/** What operations work with: made once for the process. */
export interface ControlParts {
  readonly clock: Clock
  readonly audit: Pick<AuditLog, 'append' | 'commit' | 'check'>
  /** The scopes of each role of the configuration. */
  readonly roles: ReadonlyMap<string, ScopeSet>
  readonly cursors: Sealer
  readonly attempts: Attempts
  readonly users: Users
}

export interface Users {
  createUser(
    request: {
      readonly tenant: string
      readonly name: string
      readonly role: string
      readonly email?: string
      readonly password?: string
    },
    by: Actor,
  ): Asked<{ readonly user: User }>
  getUser(id: string, by: Actor): Asked<{ readonly user: User }>
  listUsers(
    query: { readonly tenant?: string; readonly name?: string; readonly after?: string; readonly limit: number },
    by: Actor,
  ): Promise<readonly User[]>
  updateUser(id: string, change: UserChange, expected: number, by: Actor): Asked<{ readonly user: User }>
  setPassword(id: string, password: string, by: Actor): Asked<object>
  removeUser(id: string, by: Actor): Asked<object>
}
