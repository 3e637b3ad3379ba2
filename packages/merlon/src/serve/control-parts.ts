import { createSecretKey } from 'node:crypto'
import { Attempts } from '../admin/attempts.ts'
import type { KeyInForce } from '../admin/encryption-keys.ts'
import type { ControlParts } from '../admin/parts.ts'
import type { Sessions } from '../admin/sessions.ts'
import type { Clock, RandomBytes } from '../call.ts'
import type { Installation } from '../installation/installation.ts'
import { openSealer } from '../sealing/seal.ts'
import type { SessionStore } from '../session/session-store.ts'

export interface ControlPartsOptions {
  readonly installation: Pick<Installation, 'identity' | 'tokens' | 'audit' | 'auditReader' | 'sealing' | 'ownPepper'>
  /** Of a process that serves. */
  readonly sessions?: Sessions | undefined
  readonly watch?: ControlParts['watch']
  readonly clock: Clock
  readonly random: RandomBytes
}

/** The keys that `openInstallation` makes of the root key, or takes as they are given. */
function keysInForce(ownPepper: boolean): readonly KeyInForce[] {
  const fromRoot = (purpose: string, algorithm: string): KeyInForce => ({ purpose, algorithm, derivedFrom: 'root key' })
  return [
    fromRoot('request states', 'AES-256-GCM'),
    fromRoot('cursors', 'AES-256-GCM'),
    fromRoot('signing keys', 'AES-256-GCM'),
    fromRoot('event ids', 'HMAC-SHA-256'),
    fromRoot('session ids', 'HMAC-SHA-256'),
    fromRoot('data keys', 'AES-256-GCM'),
    { purpose: 'sessions', algorithm: 'AES-256-GCM', derivedFrom: 'data key' },
    { purpose: 'events', algorithm: 'AES-256-GCM', derivedFrom: 'data key' },
    fromRoot('audit heads', 'Ed25519'),
    ownPepper
      ? { purpose: 'API keys', algorithm: 'HMAC-SHA-256', derivedFrom: 'API_KEY_SECRET' }
      : fromRoot('API keys', 'HMAC-SHA-256'),
  ]
}

/** What the control plane works with. */
export function controlParts({ installation, sessions, watch, clock, random }: ControlPartsOptions): ControlParts {
  const { identity, tokens, audit, auditReader, sealing } = installation
  return {
    clock,
    audit,
    roles: identity.roles,
    cursors: openSealer(sealing.cursor, random),
    // Kept in this process alone, so the key may end with it.
    attempts: new Attempts(openSealer(createSecretKey(random(32)), random), random),
    keysInForce: keysInForce(installation.ownPepper),
    users: identity.users,
    tenants: identity.tenants,
    agents: identity.agents,
    keys: identity.keys,
    signIns: identity.signIns,
    subjects: identity.subjects,
    tokens: tokens.tokens,
    doors: tokens.doors,
    signingKeys: tokens.signingKeys,
    auditReader,
    // Where it cannot be asked, nothing that is remembered is trusted after a second, and the store is asked instead.
    refresh: () => identity.poll.refresh().catch(() => undefined),
    sessions,
    watch,
  }
}

/** The sessions that the process serves. */
export function sessionsOf(store: SessionStore, clock: Clock): Sessions {
  return {
    list: async (reach, page) => store.list(reach, page, clock()),
    get: async (reach, id) => store.findListed(reach, id, clock()),
    end: async (reach, id) => store.endListed(reach, id, clock()),
  }
}
