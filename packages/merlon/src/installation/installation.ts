import type { KeyObject } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { resolve } from 'node:path'
import type { AuditLog } from '../audit/audit-log.ts'
import type { AuditReader } from '../audit/audit-reader.ts'
import type { FileAuditLog } from '../audit/file-log.ts'
import type { Awaitable, Clock, RandomBytes } from '../call.ts'
import type { Config } from '../config/schema.ts'
import type { Secrets } from '../config/secrets.ts'
import type { IdentityStores } from '../identity/identity-store.ts'
import { keyDigest, pepperId } from '../identity/key-digest.ts'
import type { IssuedKey, Keys } from '../identity/keys.ts'
import type { LoginLimiter } from '../identity/login-throttle.ts'
import type { Door, Verdict } from '../identity/verdict.ts'
import { scopeSet } from '../policy/scopes.ts'
import type { DataKeyStore } from '../sealing/data-key-store.ts'
import { DataKeys } from '../sealing/data-keys.ts'
import { openKeptKeys } from '../sealing/kept-keys.ts'
import { type OpenRoots, openRoots } from '../sealing/root-place.ts'
import { type KeptPurpose, keptPurposes, type RootStore } from '../sealing/root-store.ts'
import { openSealer } from '../sealing/seal.ts'
import { selfTest } from '../sealing/self-test.ts'
import { type OpenAudit, openAudit } from './open-audit.ts'
import { type Identity, openIdentity } from './open-identity.ts'
import { openTokens, type TokenAuthority } from './open-tokens.ts'

/** What stays when the server stops: who may call, what was done, and the keys that seal. */
export interface Installation {
  /** Who may call. */
  readonly identity: Identity
  /** Issues access tokens for those who sign in. */
  readonly tokens: TokenAuthority
  /** Checks an API key of this installation that is shown at a door, from an address. */
  readonly verify: (credential: string, door: Door, address: string | undefined) => Awaitable<Verdict>
  /** Calls back with a credential that is good no longer; with a tenant, where it is good no longer in that one. */
  onWithdrawn(listener: (credential: string, tenant?: string) => void): void
  /** Calls back with a credential that is good, but not as it was. */
  onChanged(listener: (credential: string, tenant?: string) => void): void
  /** Begins to follow changes that others make. Before it every check asks the store. */
  follow(): Promise<void>
  /** Whether the store was reached a moment ago, as far as those who follow it know. */
  storeReachable(): boolean
  readonly keys: Keys
  readonly audit: AuditLog & Pick<FileAuditLog, 'addSink' | 'backlog' | 'onTampered'>
  /** Reads and verifies what was recorded. */
  readonly auditReader: AuditReader
  /** What the record of a call says of its arguments; `undefined` where it says nothing. */
  readonly argumentDigest: ((text: string) => string) | undefined
  readonly sealing: {
    readonly requestState: KeyObject
    readonly cursor: KeyObject
    readonly eventId: KeyObject
    readonly sessionId: KeyObject
    readonly questionId: KeyObject
    readonly mail: KeyObject
  }
  /** The root key, or the two that one changes between, and what they wrap. */
  readonly roots: OpenRoots & { readonly store: RootStore }
  /** The keys that seal records, of those that are kept wrapped there. */
  readonly dataKeys: (store: DataKeyStore) => DataKeys
  /** The first key of a new installation, made and told this once. `undefined` where it was made before. */
  makeFirstKey(): Promise<IssuedKey | undefined>
  close(): Promise<void>
}

export interface InstallationOptions {
  readonly project: string
  readonly config: Config
  readonly secrets: Pick<Secrets, 'rootKey' | 'rootKeyNext' | 'apiKeyPepper' | 'databaseUrl'>
  readonly openStores: (folder: string) => Promise<{ readonly stores: IdentityStores; readonly rootStore: RootStore }>
  /** Counts attempts to sign in. */
  readonly logins: LoginLimiter
  readonly clock: Clock
  readonly random: RandomBytes
  readonly report: (what: string, cause: unknown) => void
}

/**
 * Opens the data folder of a project, and makes the root key that a new one needs. Throws, in words for the operator, where
 * the root key or the pepper is not the one that the store was made with: nothing is started afresh over data that another
 * key protects.
 */
export async function openInstallation(options: InstallationOptions): Promise<Installation> {
  const { config, secrets, clock, random, report } = options
  selfTest()
  const folder = resolve(options.project, config.store.folder)
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const { stores, rootStore } = await options.openStores(folder)
  let audit: OpenAudit | undefined
  try {
    const { rootKey, rootKeyNext, apiKeyPepper, databaseUrl } = secrets
    const standing = await rootStore.root()
    const shared = databaseUrl !== undefined
    const opened = openRoots({ folder, rootKey, rootKeyNext, standing, shared })
    const { roots, rootOf } = opened
    const purposes = keptPurposes.filter((purpose) => purpose !== 'api-key-pepper' || apiKeyPepper === undefined)
    const kept = await openKeptKeys({ store: rootStore, roots, purposes, rootOf, random, now: clock() })
    // Those that are asked for are there, or the line before had thrown.
    const keyFor = (purpose: KeptPurpose) => kept.get(purpose)!
    const pepper = apiKeyPepper ?? keyFor('api-key-pepper')
    const pepperName = pepperId(pepper)
    if ((await stores.installation.claimFact('pepper', pepperName)) !== pepperName) {
      throw new Error(
        'API_KEY_SECRET is not the one that the keys in this store were made with. Put it back; without it no key is recognised',
      )
    }

    const auditKeys = { headKey: keyFor('audit-head'), digestKey: keyFor('audit-digest') }
    audit = await openAudit({
      ...{ project: options.project, folder, config: config.audit, ...auditKeys, clock, random, report },
    })
    const { log, reader } = audit
    const digest = keyDigest(pepper)
    const roles = new Map(Object.entries(config.roles).map(([role, scopes]) => [role, scopeSet(scopes)]))
    const identity = openIdentity({
      ...{
        stores,
        config,
        roles,
        digest,
        pepper: pepperName,
        secondFactor: {
          sealer: openSealer(keyFor('second-factor'), random),
          digest: keyDigest(keyFor('recovery-code')),
        },
        audit: log,
        logins: options.logins,
        clock,
        random,
        report,
      },
    })
    const { keys, keyRing, signInRing } = identity
    const sealingKey = keyFor('signing-key')
    const tokens = openTokens({ identity, config, sealingKey, clock, random, report })
    return {
      identity,
      tokens,
      verify: (credential, door, address) => keyRing.authenticate(credential, door, address),
      onWithdrawn(listener) {
        for (const { news } of [keyRing, signInRing, tokens]) news.onWithdrawn(listener)
      },
      onChanged(listener) {
        for (const { news } of [keyRing, signInRing, tokens]) news.onChanged(listener)
      },
      async follow() {
        await identity.poll.start()
        await tokens.start()
        keyRing.start()
      },
      storeReachable: () => identity.poll.vouches(clock()),
      keys,
      audit: log,
      auditReader: reader,
      argumentDigest: audit.argumentDigest,
      sealing: {
        requestState: keyFor('request-state'),
        cursor: keyFor('cursor'),
        eventId: keyFor('event-id'),
        sessionId: keyFor('session-id'),
        questionId: keyFor('question-id'),
        mail: keyFor('mail'),
      },
      roots: { ...opened, store: rootStore },
      dataKeys: (store) => new DataKeys({ store, root: roots, random, clock }),
      makeFirstKey: () => keys.bootstrap(),
      async close() {
        tokens.close()
        await identity.close()
        await stores.close()
        await audit?.close()
      },
    }
  } catch (error) {
    await audit?.close().catch(() => undefined)
    await stores.close()
    throw error
  }
}
