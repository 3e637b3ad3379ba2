import { createSecretKey } from 'node:crypto'
import { Attempts } from '../admin/attempts.ts'
import type { ControlParts } from '../admin/parts.ts'
import type { Sessions } from '../admin/sessions.ts'
import type { Clock, RandomBytes } from '../call.ts'
import type { Installation } from '../installation/installation.ts'
import { openSealer } from '../sealing/seal.ts'
import type { SessionStore } from '../session/session-store.ts'

export interface ControlPartsOptions {
  readonly installation: Pick<Installation, 'identity' | 'tokens' | 'audit' | 'auditReader' | 'sealing'>
  readonly encryptionKeys: ControlParts['encryptionKeys']
  readonly rootChange: ControlParts['rootChange']
  readonly sessions?: Sessions | undefined
  /** Of a process that serves. */
  readonly watch?: ControlParts['watch']
  readonly clock: Clock
  readonly random: RandomBytes
}

/** What the control plane works with. */
export function controlParts(options: ControlPartsOptions): ControlParts {
  const { installation, encryptionKeys, rootChange, sessions, watch, clock, random } = options
  const { identity, tokens, audit, auditReader, sealing } = installation
  return {
    clock,
    audit,
    roles: identity.roles,
    cursors: openSealer(sealing.cursor, random),
    // Kept in this process alone, so the key may end with it.
    attempts: new Attempts(openSealer(createSecretKey(random(32)), random), random),
    users: identity.users,
    tenants: identity.tenants,
    agents: identity.agents,
    keys: identity.keys,
    signIns: identity.signIns,
    secondFactors: identity.secondFactors,
    subjects: identity.subjects,
    tokens: tokens.tokens,
    doors: tokens.doors,
    signingKeys: tokens.signingKeys,
    encryptionKeys,
    rootChange,
    auditReader,
    // Where it cannot be asked, nothing that is remembered is trusted after a second, and the store is asked instead.
    refresh: () => identity.poll.refresh().catch(() => undefined),
    sessions,
    watch,
  }
}

/** The sessions that are kept, as the control plane sees them. */
export function sessionsOf(store: SessionStore, clock: Clock): Sessions {
  return {
    list: async (reach, page) => store.list(reach, page, clock()),
    get: async (reach, id) => store.findListed(reach, id, clock()),
    end: async (reach, id) => store.endListed(reach, id, clock()),
  }
}
