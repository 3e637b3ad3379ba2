import type { KeyObject } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { resolve } from 'node:path'
import type { AuditLog } from './audit/audit-log.ts'
import type { AuditReader } from './audit/audit-reader.ts'
import type { FileAuditLog } from './audit/file-log.ts'
import type { Awaitable, Clock, RandomBytes } from './call.ts'
import type { Config } from './config/schema.ts'
import type { Secrets } from './config/secrets.ts'
import { keyDigest, pepperId } from './identity/key-digest.ts'
import { KeyRing } from './identity/key-ring.ts'
import type { KeyStore } from './identity/key-store.ts'
import { type IssuedKey, type KeyChange, Keys } from './identity/keys.ts'
import type { Verdict } from './identity/verdict.ts'
import { type OpenAudit, openAudit } from './open-audit.ts'
import { scopeSet } from './policy/scopes.ts'
import { deriveKey, openRootKey, rootKeyCheck } from './sealing/root-key.ts'

/** What stays when the server stops: who may call, what was done, and the keys that seal. */
export interface Installation {
  /** Checks an API key of this installation. */
  readonly verify: (credential: string) => Awaitable<Verdict>
  /** Calls back with a credential that is good no longer. */
  onWithdrawn(listener: (credential: string) => void): void
  /** Calls back with a credential that is good, but not as it was. */
  onChanged(listener: (credential: string) => void): void
  /** Begins to follow changes that others make. Before it every check asks the store. */
  follow(): Promise<void>
  readonly keys: Keys
  readonly audit: AuditLog & Pick<FileAuditLog, 'addSink'>
  /** Reads and verifies what was recorded. */
  readonly auditReader: AuditReader
  readonly sealing: { readonly requestState: KeyObject; readonly cursor: KeyObject; readonly eventId: KeyObject }
  /** The first key of a new installation, made and told this once. `undefined` where it was made before. */
  makeFirstKey(): Promise<IssuedKey | undefined>
  close(): Promise<void>
}

export interface InstallationOptions {
  readonly project: string
  readonly config: Config
  readonly secrets: Pick<Secrets, 'rootKey' | 'apiKeyPepper'>
  readonly openStore: (folder: string) => Promise<KeyStore>
  readonly clock: Clock
  readonly random: RandomBytes
  readonly report: (what: string, cause: unknown) => void
}

const dayMs = 86_400_000

/**
 * Opens the data folder of a project, and makes the root key that a new one needs. Throws, in words for the operator, where
 * the root key or the pepper is not the one that the store was made with: nothing is started afresh over data that another
 * key protects.
 */
export async function openInstallation(options: InstallationOptions): Promise<Installation> {
  const { config, secrets, clock, random, report } = options
  const folder = resolve(options.project, config.store.folder)
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const store = await options.openStore(folder)
  let audit: OpenAudit | undefined
  try {
    const known = await store.findFact('root-key-check')
    const root = secrets.rootKey ?? openRootKey({ folder, storeHasData: known !== undefined }).key
    const check = rootKeyCheck(root)
    if ((await store.claimFact('root-key-check', check)) !== check) {
      throw new Error(
        'the root key is not the one that this store was made with. Put the right ENCRYPTION_KEY or root.key back; without it the keys in the store are of no use',
      )
    }
    const pepper = secrets.apiKeyPepper ?? deriveKey(root, 'api-key-pepper')
    const pepperName = pepperId(pepper)
    if ((await store.claimFact('pepper', pepperName)) !== pepperName) {
      throw new Error(
        'API_KEY_SECRET is not the one that the keys in this store were made with. Put it back; without it no key is recognised',
      )
    }

    audit = await openAudit({ project: options.project, folder, config: config.audit, root, clock, random, report })
    const { log, reader } = audit
    const digest = keyDigest(pepper)
    const roles = new Map(Object.entries(config.roles).map(([role, scopes]) => [role, scopeSet(scopes)]))
    const keys = new Keys({
      store,
      digest,
      pepper: pepperName,
      roles,
      random,
      clock,
      record: (change) => log.commit(entryOf(change)),
      lifetimeMs: config.authentication.keyLifetimeDays * dayMs,
      lifetimeMsMax: config.authentication.keyLifetimeDaysMax * dayMs,
    })
    const ring = new KeyRing({ store, digest, roles, clock, report })
    return {
      verify: (credential) => ring.authenticate(credential),
      onWithdrawn: (listener) => void ring.onWithdrawn(listener),
      onChanged: (listener) => void ring.onChanged(listener),
      follow: () => ring.start(),
      keys,
      audit: log,
      auditReader: reader,
      sealing: {
        requestState: deriveKey(root, 'request-state'),
        cursor: deriveKey(root, 'cursor'),
        eventId: deriveKey(root, 'event-id'),
      },
      makeFirstKey: () => keys.bootstrap(),
      async close() {
        await ring.close()
        await store.close()
        await audit?.close()
      },
    }
  } catch (error) {
    await audit?.close().catch(() => undefined)
    await store.close()
    throw error
  }
}

function entryOf({ action, outcome, by, tenant, key, detail }: KeyChange) {
  return {
    type: 'key',
    success: outcome === 'done' || outcome === 'intended',
    level: outcome === 'done' || outcome === 'intended' ? 'info' : 'warn',
    action,
    outcome,
    by,
    tenant,
    key,
    detail,
  } as const
}
