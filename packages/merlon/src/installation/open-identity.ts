import type { AuditEntry, AuditLog } from '../audit/audit-log.ts'
import type { Clock, RandomBytes, ScopeSet } from '../call.ts'
import type { Config } from '../config/schema.ts'
import { addressBucket } from '../guard/proxy-ranges.ts'
import { Agents } from '../identity/agents.ts'
import { ChangePoll } from '../identity/change-poll.ts'
import type { IdentityStores } from '../identity/identity-store.ts'
import type { KeyDigest } from '../identity/key-digest.ts'
import { KeyRing } from '../identity/key-ring.ts'
import { Keys } from '../identity/keys.ts'
import { type LoginLimiter, LoginThrottle } from '../identity/login-throttle.ts'
import { Passwords } from '../identity/passwords.ts'
import { type Change, Recorder } from '../identity/recorded.ts'
import { SecondFactors, type SecondFactorsParts } from '../identity/second-factors.ts'
import { SignInRing } from '../identity/sign-in-ring.ts'
import { SignIns } from '../identity/sign-ins.ts'
import { Subjects } from '../identity/subjects.ts'
import { Tenants } from '../identity/tenants.ts'
import { Users } from '../identity/users.ts'

/** Who may call: what may be done with them, and what their credentials are worth. */
export interface Identity {
  readonly stores: IdentityStores
  /** The scopes of each role. */
  readonly roles: ReadonlyMap<string, ScopeSet>
  readonly recorder: Recorder
  readonly users: Users
  readonly tenants: Tenants
  readonly agents: Agents
  readonly keys: Keys
  readonly signIns: SignIns
  readonly secondFactors: SecondFactors
  readonly subjects: Subjects
  /** Follows the changes that others make, for all that remember. */
  readonly poll: ChangePoll
  readonly keyRing: KeyRing
  readonly signInRing: SignInRing
  /** Notes the last uses and follows no more. Does not close the stores. */
  close(): Promise<void>
}

export interface IdentityParts {
  readonly stores: IdentityStores
  readonly config: Pick<Config, 'authentication' | 'identity' | 'name'>
  readonly roles: ReadonlyMap<string, ScopeSet>
  readonly digest: KeyDigest
  /** Names the pepper of `digest`. */
  readonly pepper: string
  /** Seals the secrets of second factors, and makes the digests of recovery codes. */
  readonly secondFactor: Pick<SecondFactorsParts, 'sealer' | 'digest'>
  readonly audit: Pick<AuditLog, 'commit'>
  readonly logins: LoginLimiter
  readonly clock: Clock
  readonly random: RandomBytes
  readonly report: (what: string, cause: unknown) => void
}

const dayMs = 86_400_000

/** Puts the parts together; reads and writes nothing yet. */
export function openIdentity(parts: IdentityParts): Identity {
  const { stores, roles, digest, pepper, audit, clock, random, report } = parts
  const { passwords: cost, login, keyLifetimeDays, keyLifetimeDaysMax } = parts.config.authentication
  const recorder = new Recorder((change) => audit.commit(entryOf(change)), clock)
  const passwords = new Passwords({ random, cost: { memoryKib: cost.memoryKib, passes: cost.passes, lanes: 1 } })
  const throttle = new LoginThrottle(parts.logins, addressBucket)
  const common = { clock, random, recorder }
  const poll = new ChangePoll({ store: stores.installation, clock, report })
  const keyRing = new KeyRing({ store: stores.keys, poll, digest, roles, clock, report })
  const secondFactors = new SecondFactors({
    ...{ ...common, ...parts.secondFactor, issuer: parts.config.name },
    ...{ store: stores.secondFactors, users: stores.users, signIns: stores.signIns, passwords, throttle },
  })
  return {
    stores,
    roles,
    recorder,
    users: new Users({ ...common, store: stores.users, tenants: stores.tenants, passwords, throttle, roles }),
    tenants: new Tenants({ ...common, store: stores.tenants }),
    agents: new Agents({ ...common, store: stores.agents, users: stores.users }),
    keys: new Keys({
      ...common,
      store: stores.keys,
      users: stores.users,
      agents: stores.agents,
      installation: stores.installation,
      digest,
      pepper,
      lifetimeMs: keyLifetimeDays * dayMs,
      lifetimeMsMax: keyLifetimeDaysMax * dayMs,
    }),
    signIns: new SignIns({
      ...common,
      store: stores.signIns,
      users: stores.users,
      passwords,
      secondFactors,
      throttle,
      lifetimeMs: login.signInLifetimeMs,
    }),
    secondFactors,
    subjects: new Subjects({
      ...common,
      store: stores.subjects,
      issuers: new Set(parts.config.identity.issuers.map(({ issuer }) => issuer)),
    }),
    poll,
    keyRing,
    signInRing: new SignInRing({ store: stores.signIns, poll, roles, clock, report }),
    async close() {
      await poll.close()
      await keyRing.close()
    },
  }
}

/** What is changed, as records are selected by. The first start makes a key. */
const kinds = new Map<string, AuditEntry['type']>([
  ['user', 'user'],
  ['tenant', 'tenant'],
  ['agent', 'agent'],
  ['sign-in', 'sign_in'],
  ['subject', 'subject'],
  ['signing-key', 'signing_key'],
  ['encryption-key', 'encryption_key'],
])

function entryOf({ action, outcome, by, tenant, key, detail }: Change) {
  const well = outcome === 'done' || outcome === 'intended'
  return {
    type: kinds.get(action.slice(0, action.indexOf('.'))) ?? 'key',
    success: well,
    level: well ? 'info' : 'warn',
    action,
    outcome,
    by,
    tenant,
    key,
    detail,
  } as const
}
