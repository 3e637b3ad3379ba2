import type { Clock, Instant, RandomBytes, ScopeSet } from '../call.ts'
import { Fault } from '../errors.ts'
import { scopePattern, scopeSet, within } from '../policy/scopes.ts'
import { type Actor, localOperator } from './actor.ts'
import type { KeyDigest } from './key-digest.ts'
import { base62, type MintedKey, mintKey } from './key-format.ts'
import {
  type ApiKey,
  everyTenant,
  type KeyStore,
  type NewKey,
  type NewSecret,
  type User,
  type UserStatus,
} from './key-store.ts'
import { parseGrace, parseLifetime } from './lifetime.ts'

export { type Actor, localOperator } from './actor.ts'

/** One line of what is recorded of a change. Two lines make a change: what was meant, and what came of it. */
export interface KeyChange {
  readonly action:
    | 'key.create'
    | 'key.revoke'
    | 'key.rotate'
    | 'user.create'
    | 'user.disable'
    | 'user.enable'
    | 'installation.bootstrap'
  /** `failed`: it may or may not have happened, because the store went out of reach. */
  readonly outcome: 'intended' | 'done' | 'refused' | 'failed'
  readonly at: Instant
  readonly by: string
  /** `undefined` where the actor reaches every tenant and named none. */
  readonly tenant: string | undefined
  /** `undefined` for a change of a user, whom `detail` names. */
  readonly key: string | undefined
  readonly detail: Readonly<Record<string, string | number | readonly string[]>>
}

export interface KeysParts {
  readonly store: KeyStore
  readonly digest: KeyDigest
  /** Names the pepper of `digest`. */
  readonly pepper: string
  /** The scopes of each role. */
  readonly roles: ReadonlyMap<string, ScopeSet>
  readonly random: RandomBytes
  readonly clock: Clock
  /** Makes a change durable in the audit log, or rejects. Nothing is changed that was not first recorded as meant. */
  readonly record: (change: KeyChange) => Promise<void>
  readonly lifetimeMs: number
  readonly lifetimeMsMax: number
  /** Longest time an old secret may stay good. Default 7 days. */
  readonly graceMsMax?: number
}

export interface KeyRequest {
  readonly tenant: string
  /** The name of the user it acts for. */
  readonly user: string
  readonly name: string
  readonly scopes: readonly string[]
  /** As `90d`, `12h`, `30m`. Default from the configuration. */
  readonly lifetime?: string
}

/** `user` is a name, and a name is of one tenant; `after` is the last id of the page before. */
export type KeyListing = { readonly after?: string; readonly limit?: number } & (
  | { readonly tenant?: string; readonly user?: undefined }
  | { readonly tenant: string; readonly user: string }
)

/** The one time that a key's text is told. */
export interface IssuedKey {
  readonly ok: true
  readonly key: ApiKey
  readonly text: string
}

export type KeyRefusal =
  | 'name-malformed'
  | 'name-taken'
  | 'scope-malformed'
  /** A scope that the one who asks does not hold. */
  | 'scope-beyond-yours'
  | 'lifetime-refused'
  | 'grace-refused'
  /** No such user in that tenant, or none that the one who asks may know of. */
  | 'user-unknown'
  /** No such role in the configuration. */
  | 'role-unknown'
  /** No such key, or none that the one who asks may know of. */
  | 'key-unknown'
  | 'key-revoked'
  | 'key-expired'

export type Refusal = { readonly ok: false; readonly reason: KeyRefusal }

const namePattern = /^[\p{L}\p{N}][\p{L}\p{N} ._@:/-]{0,63}$/u
const tenantPattern = /^[a-z0-9][a-z0-9._-]{0,63}$/
const scopesMax = 64
const defaultGrace = '24h'
const week = 7 * 86_400_000
const hour = 3_600_000

/** The scopes of a new key, sorted and each once, or why they are refused: nobody grants more than they hold (AK-09). */
export function checkScopes(
  asked: readonly string[],
  by: Actor,
): readonly string[] | 'scope-malformed' | 'scope-beyond-yours' {
  const scopes = [...new Set(asked)].sort()
  if (scopes.length === 0 || scopes.length > scopesMax) return 'scope-malformed'
  if (!scopes.every((scope) => scopePattern.test(scope))) return 'scope-malformed'
  return within(scopeSet(scopes), by.scopes) ? scopes : 'scope-beyond-yours'
}

/**
 * What may be done with keys and with the users they act for, for the command line and the API.
 *
 * Each change is recorded as meant, then made, then recorded as done, and only then acknowledged. If the first record
 * cannot be written nothing happens. If the second cannot, the caller gets `Fault('audit.unavailable')` and no key text: a
 * new key is revoked again; a revoked one stays revoked; a rotated one keeps its old secret for the grace, and is to be
 * rotated once more.
 */
export class Keys {
  readonly #parts: KeysParts

  constructor(parts: KeysParts) {
    this.#parts = parts
  }

  async createKey(request: KeyRequest, by: Actor): Promise<IssuedKey | Refusal> {
    const { store, clock, random, lifetimeMs, lifetimeMsMax } = this.#parts
    if (!namePattern.test(request.name)) return refused('name-malformed')
    const scopes = checkScopes(request.scopes, by)
    if (typeof scopes === 'string') return refused(scopes)
    const lifetime =
      request.lifetime === undefined
        ? Math.min(lifetimeMs, lifetimeMsMax)
        : parseLifetime(request.lifetime, lifetimeMsMax)
    if (lifetime === undefined) return refused('lifetime-refused')
    if (by.tenant !== everyTenant && by.tenant !== request.tenant) return refused('user-unknown')
    const owner = await store.findUser(request.tenant, request.user)
    if (owner === undefined) return refused('user-unknown')

    const now = clock()
    const minted = mintKey(random)
    const key: NewKey = {
      ...this.#secretOf(minted),
      id: minted.id,
      tenant: owner.tenant,
      owner: owner.id,
      name: request.name,
      scopes,
      expiresAt: now + lifetime,
    }
    const detail = { owner: owner.id, name: key.name, scopes, expiresAt: key.expiresAt }
    const line = { action: 'key.create', by: by.id, tenant: key.tenant, key: key.id, detail } as const
    const outcome = await this.#recorded(line, () => store.createKey(key, now), {
      done: (created) => created === 'created',
      // Nobody has its text, but what cannot be recorded must not stand.
      undo: () => store.revokeKey(key.tenant, key.id, clock()),
    })
    if (outcome === 'owner-unknown') return refused('user-unknown')
    if (outcome === 'name-taken') return refused('name-taken')
    return { ok: true, key: shownOf(key, now), text: minted.text }
  }

  /** Makes a user, and its tenant where it is the first there. Nobody makes a user who may do more than they (AU-11). */
  async createUser(
    { tenant, name, role }: { readonly tenant: string; readonly name: string; readonly role: string },
    by: Actor,
  ): Promise<{ readonly ok: true; readonly user: User } | Refusal> {
    const { store, clock, random, roles } = this.#parts
    if (!namePattern.test(name) || !tenantPattern.test(tenant)) return refused('name-malformed')
    const granted = roles.get(role)
    if (granted === undefined) return refused('role-unknown')
    if (!within(granted, by.scopes) || (by.tenant !== everyTenant && by.tenant !== tenant))
      return refused('scope-beyond-yours')
    const user: User = { id: `usr_${base62(random, 12)}`, tenant, name, role, status: 'active' }
    const line = {
      action: 'user.create',
      by: by.id,
      tenant,
      key: undefined,
      detail: { user: user.id, name, role },
    } as const
    const create = async () => {
      await store.ensureTenant(tenant, clock())
      return store.createUser(user, clock())
    }
    const outcome = await this.#recorded(line, create, {
      done: (made) => made === 'created',
      undo: () => store.setUserStatus(tenant, user.id, 'disabled', clock()),
    })
    return outcome === 'created' ? { ok: true, user } : refused('name-taken')
  }

  /** Lets a user's keys act, or not: refused from the next call on, and their open streams closed. */
  async setUserStatus(
    { tenant, name }: { readonly tenant: string; readonly name: string },
    status: UserStatus,
    by: Actor,
  ): Promise<{ readonly ok: true } | Refusal> {
    const { store, clock } = this.#parts
    if (by.tenant !== everyTenant && by.tenant !== tenant) return refused('user-unknown')
    const user = await store.findUser(tenant, name)
    if (user === undefined) return refused('user-unknown')
    const action = status === 'active' ? 'user.enable' : 'user.disable'
    const line = { action, by: by.id, tenant, key: undefined, detail: { user: user.id, name } } as const
    const found = await this.#recorded(line, () => store.setUserStatus(tenant, user.id, status, clock()), {
      done: (there) => there,
    })
    return found ? { ok: true } : refused('user-unknown')
  }

  /** A page of the keys within reach, in the order of their ids. */
  async listKeys(query: KeyListing, by: Actor): Promise<readonly ApiKey[]> {
    const { store } = this.#parts
    const { tenant = by.tenant, after, limit = 100 } = query
    if (by.tenant !== everyTenant && tenant !== by.tenant) return []
    const page = { limit: Math.min(Math.max(Math.trunc(limit), 1), 1_000), ...(after === undefined ? {} : { after }) }
    if (query.user === undefined) return store.listKeys({ tenant, ...page })
    const owner = await store.findUser(query.tenant, query.user)
    return owner === undefined ? [] : store.listKeys({ tenant, user: owner.id, ...page })
  }

  /** Revokes a key for good. Revoking it again is no error and changes nothing. */
  async revokeKey(id: string, by: Actor): Promise<{ readonly ok: true; readonly key: ApiKey } | Refusal> {
    const { store, clock } = this.#parts
    const line = { action: 'key.revoke', by: by.id, tenant: tenantOf(by), key: boundedId(id), detail: {} } as const
    const key = await this.#recorded(line, () => store.revokeKey(by.tenant, id, clock()), {
      done: (revoked) => revoked !== undefined,
    })
    return key === undefined ? refused('key-unknown') : { ok: true, key }
  }

  /** Gives a key a new secret. The old one stays good for the grace: `24h` unless said otherwise, `0` for not at all. */
  async rotateKey(id: string, by: Actor, grace = defaultGrace): Promise<IssuedKey | Refusal> {
    const { store, clock, random, graceMsMax = week } = this.#parts
    const graceMs = parseGrace(grace, graceMsMax)
    if (graceMs === undefined) return refused('grace-refused')
    const record = await store.findKey(id)
    if (record === undefined || (by.tenant !== everyTenant && record.tenant !== by.tenant))
      return refused('key-unknown')
    // The new secret is told to the one who asks, so it must not carry more than they hold.
    if (!within(scopeSet(record.scopes), by.scopes)) return refused('scope-beyond-yours')
    const now = clock()
    if (now >= record.expiresAt) return refused('key-expired')
    const minted = mintKey(random, id)
    const graceUntil = now + graceMs
    const line = { action: 'key.rotate', by: by.id, tenant: record.tenant, key: id, detail: { graceUntil } } as const
    const rotation = await this.#recorded(
      line,
      () => store.rotateKey(record.tenant, id, this.#secretOf(minted), graceUntil, now),
      { done: ({ outcome }) => outcome === 'rotated' },
    )
    if (rotation.outcome === 'unknown') return refused('key-unknown')
    if (rotation.outcome === 'revoked') return refused('key-revoked')
    return { ok: true, key: rotation.key, text: minted.text }
  }

  /**
   * On the first start of an installation, and never again: tenant `default`, its user `operator`, and a key with every
   * scope that lives for an hour, to make the next ones with (AK-11). `undefined` on every later start, and for all but one
   * of several servers that start at once.
   */
  async bootstrap(): Promise<IssuedKey | undefined> {
    const { store, clock, random } = this.#parts
    if ((await store.findFact('first-start')) !== undefined) return undefined
    const now = clock()
    const minted = mintKey(random)
    const tenant = 'default'
    const user = {
      id: `usr_${base62(random, 12)}`,
      tenant,
      name: 'operator',
      role: 'operator',
      status: 'active',
    } as const
    const scopes = ['admin', 'read', 'write']
    const expiresAt = now + hour
    const key: NewKey = {
      ...this.#secretOf(minted),
      id: minted.id,
      tenant,
      owner: user.id,
      name: 'first-start',
      scopes,
      expiresAt,
    }
    const detail = { owner: user.id, name: key.name, scopes, expiresAt }
    const line = { action: 'installation.bootstrap', by: localOperator.id, tenant, key: key.id, detail } as const
    const first = await this.#recorded(line, () => store.createFirst(tenant, user, key, now), {
      done: (created) => created,
      undo: () => store.revokeKey(tenant, key.id, clock()),
    })
    return first ? { ok: true, key: shownOf(key, now), text: minted.text } : undefined
  }

  #secretOf(minted: MintedKey): NewSecret {
    return { digest: this.#parts.digest(minted.text), pepper: this.#parts.pepper, last4: minted.last4 }
  }

  async #recorded<T>(
    line: Omit<KeyChange, 'outcome' | 'at'>,
    change: () => Promise<T>,
    { done, undo }: { done: (value: T) => boolean; undo?: () => Promise<unknown> },
  ): Promise<T> {
    await this.#record(line, 'intended')
    let value: T
    try {
      value = await change()
    } catch (error) {
      // That it was meant is on record already; the outage is what the caller has to know.
      await this.#record(line, 'failed').catch(() => undefined)
      throw error
    }
    const happened = done(value)
    try {
      await this.#record(line, happened ? 'done' : 'refused')
    } catch (error) {
      // Where the store is gone as well, the record still says that it was meant and not that it was done.
      if (happened) await undo?.().catch(() => undefined)
      throw error
    }
    return value
  }

  async #record(line: Omit<KeyChange, 'outcome' | 'at'>, outcome: KeyChange['outcome']): Promise<void> {
    try {
      await this.#parts.record({ ...line, outcome, at: this.#parts.clock() })
    } catch (cause) {
      throw cause instanceof Fault ? cause : new Fault('audit.unavailable', { cause })
    }
  }
}

function refused(reason: KeyRefusal): Refusal {
  return { ok: false, reason }
}

function tenantOf(by: Actor): string | undefined {
  return by.tenant === everyTenant ? undefined : by.tenant
}

/** An id as typed, for the record: cut, since it need not be one. */
function boundedId(id: string): string {
  return id.slice(0, 64)
}

function shownOf(key: NewKey, now: Instant): ApiKey {
  const { id, tenant, owner, name, scopes, last4, expiresAt } = key
  return {
    id,
    tenant,
    owner,
    name,
    scopes,
    last4,
    createdAt: now,
    expiresAt,
    revokedAt: undefined,
    lastUsedAt: undefined,
  }
}
