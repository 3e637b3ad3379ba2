import type { Clock, Instant, RandomBytes } from '../call.ts'
import { adminScope, holds, scopeSet, within } from '../policy/scopes.ts'
import { type Actor, administers, localOperator, operates, reaches } from './actor.ts'
import { canonicalRanges } from './address-ranges.ts'
import type { Agent, AgentStore } from './agent-store.ts'
import type { InstallationStore } from './installation-store.ts'
import type { KeyDigest } from './key-digest.ts'
import { base62, type MintedKey, mintKey, parseKey } from './key-format.ts'
import type { ApiKey, KeyRecord, KeyStore, KeyUpdate, NewKey, NewSecret } from './key-store.ts'
import { same } from './key-verdict.ts'
import { parseGrace, parseLifetime } from './lifetime.ts'
import { canonicalScopes, namePattern } from './names.ts'
import { boundedId, type Recorder, tenantOf } from './recorded.ts'
import { type Refusal, refused } from './refusal.ts'
import { operatorRole, type User, type UserStore } from './user-store.ts'
import { type Listing, pageOf, reachOf } from './users.ts'
import type { Door } from './verdict.ts'

export interface KeysParts {
  readonly store: KeyStore
  readonly users: Pick<UserStore, 'findUser' | 'findUserById'>
  readonly agents: Pick<AgentStore, 'findAgent'>
  readonly installation: Pick<InstallationStore, 'findFact' | 'createFirst'>
  readonly digest: KeyDigest
  /** Names the pepper of `digest`. */
  readonly pepper: string
  readonly random: RandomBytes
  readonly clock: Clock
  readonly recorder: Recorder
  readonly lifetimeMs: number
  readonly lifetimeMsMax: number
  /** Longest time an old secret may stay good. Default 7 days. */
  readonly graceMsMax?: number
}

/** Whom a key acts for: a user by name within a tenant or by id, or an agent by id. Default: who asks. */
export type KeyOwner =
  | { readonly tenant: string; readonly user: string; readonly owner?: undefined; readonly agent?: undefined }
  | { readonly owner: string; readonly user?: undefined; readonly agent?: undefined }
  | { readonly agent: string; readonly user?: undefined; readonly owner?: undefined }
  | { readonly user?: undefined; readonly owner?: undefined; readonly agent?: undefined }

export type KeyRequest = KeyOwner & {
  readonly name: string
  readonly scopes: readonly string[]
  /** Which door it opens. Default `mcp`. */
  readonly use?: Door | undefined
  /** Where it may be used from. Absent: anywhere; `[]`: nowhere. */
  readonly addressRanges?: readonly string[] | undefined
  /** As `90d`, `12h`, `30m`. Default from the configuration. */
  readonly lifetime?: string | undefined
}

/** `user` is a name, and a name is of one tenant; `owner` and `agent` are ids. */
export type KeyListing = Omit<Listing, 'tenant'> & {
  readonly owner?: string | undefined
  readonly agent?: string | undefined
} & (
    | { readonly tenant?: string | undefined; readonly user?: undefined }
    | { readonly tenant: string; readonly user: string }
  )

/** What is absent stays. `addressRanges: null` lifts the limit; `lifetime` counts from now. */
export interface KeyEdit {
  readonly name?: string | undefined
  readonly scopes?: readonly string[] | undefined
  readonly addressRanges?: readonly string[] | null | undefined
  readonly active?: boolean | undefined
  readonly lifetime?: string | undefined
}

/** The one time that a key's text is told. */
export interface IssuedKey {
  readonly ok: true
  readonly key: ApiKey
  readonly text: string
}

type Done = { readonly ok: true; readonly key: ApiKey }

const defaultGrace = '24h'
const week = 7 * 86_400_000
const hour = 3_600_000

/** The scopes of a new key, sorted and each once, or why they are refused: nobody grants more than they hold (AK-09). */
export function checkScopes(
  asked: readonly string[],
  by: Actor,
): readonly string[] | 'scope-malformed' | 'scope-beyond-yours' {
  const scopes = canonicalScopes(asked)
  if (scopes === undefined || scopes.length === 0) return 'scope-malformed'
  return within(scopeSet(scopes), by.scopes) ? scopes : 'scope-beyond-yours'
}

/**
 * What may be done with keys, for the command line and the API: one's own and those of one's agents by oneself, those of
 * others by an administrator of the tenant.
 *
 * Each change is recorded as meant, made, and recorded as done. If it cannot be recorded as done, no key text is told: a new
 * key is revoked again; a revoked one stays revoked; a rotated one keeps its old secret for the grace, and is to be rotated
 * once more.
 */
export class Keys {
  readonly #parts: KeysParts

  constructor(parts: KeysParts) {
    this.#parts = parts
  }

  async createKey(request: KeyRequest, by: Actor): Promise<IssuedKey | Refusal> {
    const { store, clock, random, recorder } = this.#parts
    const { name, use = 'mcp' } = request
    if (!namePattern.test(name)) return refused('name-malformed')
    const scopes = checkScopes(request.scopes, by)
    if (typeof scopes === 'string') return refused(scopes)
    const addressRanges = request.addressRanges && canonicalRanges(request.addressRanges)
    if (request.addressRanges !== undefined && addressRanges === undefined) return refused('address-range-malformed')
    const lifetime = this.#lifetime(request.lifetime)
    if (lifetime === undefined) return refused('lifetime-refused')
    const found = await this.#ownerOf(request, by)
    if (!found.ok) return found

    const now = clock()
    const minted = mintKey(random)
    const { owner, agent } = found
    const expiresAt = now + lifetime
    const key: NewKey = {
      ...this.#secretOf(minted),
      ...{ id: minted.id, tenant: owner.tenant, owner: owner.id, agent: agent?.id, use, name, scopes, addressRanges },
      expiresAt,
    }
    const detail = { owner: owner.id, name, use, scopes, expiresAt, ...(agent && { agent: agent.id }) }
    const line = { action: 'key.create', by: by.id, tenant: key.tenant, key: key.id, detail } as const
    const outcome = await recorder.change(
      line, // An owner who became an operator meanwhile is not the one that was judged.
      () => store.createKey(key, now, owner.role),
      {
        done: (created) => created === 'created',
        // Nobody has its text, but what cannot be recorded must not stand.
        undo: () => store.revokeKey(key.tenant, key.id, clock()),
      },
    )
    if (outcome === 'owner-unknown') return refused('user-unknown')
    if (outcome === 'name-taken') return refused('name-taken')
    return { ok: true, key: shownOf(key, now), text: minted.text }
  }

  async getKey(id: string, by: Actor): Promise<Done | Refusal<'key-unknown'>> {
    const record = await this.#find(id, by)
    return record === undefined ? refused('key-unknown') : { ok: true, key: shownKey(record) }
  }

  /** A page of the keys within reach, in the order of their ids. Who is not an administrator sees their own. */
  async listKeys(query: KeyListing, by: Actor): Promise<readonly ApiKey[]> {
    const { store, users, agents } = this.#parts
    const tenant = reachOf(query, by)
    if (tenant === undefined) return []
    const named = query.user === undefined ? undefined : await users.findUser(query.tenant, query.user)
    if (query.user !== undefined && named === undefined) return []
    const wanted = { user: named?.id ?? query.owner, agent: query.agent }
    if (!holds(by.scopes, adminScope)) {
      const asked = wanted.agent === undefined ? undefined : await agents.findAgent(tenant, wanted.agent)
      const own = wanted.agent === undefined || asked?.owner === by.id || asked?.id === by.id
      if (!own || (wanted.user !== undefined && wanted.user !== by.id)) return []
      if (wanted.agent === undefined)
        Object.assign(wanted, by.id.startsWith('agt_') ? { agent: by.id } : { user: by.id })
    }
    const { user, agent } = wanted
    return store.listKeys({
      tenant,
      ...pageOf(query),
      ...(user === undefined ? {} : { user }),
      ...(agent === undefined ? {} : { agent }),
    })
  }

  /** Switching a key on, and giving it more or longer, is granting it: who does so must hold all that it then has. */
  async updateKey(id: string, edit: KeyEdit, by: Actor, expected?: number): Promise<Done | Refusal> {
    const { store, clock, recorder } = this.#parts
    const found = await this.#managed(id, by)
    if (!found.ok) return found
    const { record } = found
    const { name, active } = edit
    if (name !== undefined && !namePattern.test(name)) return refused('name-malformed')
    const scopes = edit.scopes && canonicalScopes(edit.scopes)
    if (edit.scopes !== undefined && (scopes === undefined || scopes.length === 0)) return refused('scope-malformed')
    const addressRanges = edit.addressRanges && canonicalRanges(edit.addressRanges)
    if (edit.addressRanges && addressRanges === undefined) return refused('address-range-malformed')
    const lifetime = edit.lifetime === undefined ? undefined : this.#lifetime(edit.lifetime)
    if (edit.lifetime !== undefined && lifetime === undefined) return refused('lifetime-refused')
    const grants = scopes !== undefined || active === true || lifetime !== undefined || addressRanges !== undefined
    if (grants && !within(scopeSet(scopes ?? record.scopes), by.scopes)) return refused('scope-beyond-yours')
    if (expected !== undefined && expected !== record.version) return refused('changed')

    const now = clock()
    const change: KeyUpdate = {
      ...(name === undefined ? {} : { name }),
      ...(scopes === undefined ? {} : { scopes }),
      ...(addressRanges === undefined ? {} : { addressRanges }),
      ...(active === undefined ? {} : { active }),
      ...(lifetime === undefined ? {} : { expiresAt: now + lifetime }),
    }
    const detail = {
      fields: Object.keys(change),
      ...(scopes && { scopes }),
      ...(active === undefined ? {} : { active: active ? 'yes' : 'no' }),
    }
    const updated = await recorder.change(
      { action: 'key.update', by: by.id, tenant: record.tenant, key: id, detail },
      () => store.updateKey(record.tenant, id, change, record.version, now),
      { done: ({ outcome }) => outcome === 'updated' },
    )
    if (updated.outcome === 'updated') return { ok: true, key: updated.value }
    if (updated.outcome === 'unknown') return refused('key-unknown')
    return refused(updated.outcome === 'revoked' ? 'key-revoked' : updated.outcome)
  }

  /** Revokes a key for good. Revoking it again is no error and changes nothing. */
  async revokeKey(id: string, by: Actor): Promise<Done | Refusal> {
    const { store, clock, recorder } = this.#parts
    const found = await this.#managed(id, by)
    const tenant = found.ok ? found.record.tenant : tenantOf(by)
    const line = { action: 'key.revoke', by: by.id, tenant, key: boundedId(id), detail: {} } as const
    const revoke = async () => (found.ok ? store.revokeKey(found.record.tenant, id, clock()) : undefined)
    const key = await recorder.change(line, revoke, { done: (revoked) => revoked !== undefined })
    if (!found.ok) return found
    return key === undefined ? refused('key-unknown') : { ok: true, key }
  }

  /** Gives a key a new secret. The old one stays good for the grace: `24h` unless said otherwise, `0` for not at all. */
  async rotateKey(id: string, by: Actor, grace = defaultGrace): Promise<IssuedKey | Refusal> {
    const { store, clock, random, recorder, graceMsMax = week } = this.#parts
    const graceMs = parseGrace(grace, graceMsMax)
    if (graceMs === undefined) return refused('grace-refused')
    const found = await this.#managed(id, by)
    if (!found.ok) return found
    const { record } = found
    // The new secret is told to the one who asks, so it must not carry more than they hold.
    if (!within(scopeSet(record.scopes), by.scopes)) return refused('scope-beyond-yours')
    const now = clock()
    if (now >= record.expiresAt) return refused('key-expired')
    const minted = mintKey(random, id)
    const graceUntil = now + graceMs
    const line = { action: 'key.rotate', by: by.id, tenant: record.tenant, key: id, detail: { graceUntil } } as const
    const rotation = await recorder.change(
      line,
      () => store.rotateKey(record.tenant, id, this.#secretOf(minted), graceUntil, now),
      { done: ({ outcome }) => outcome === 'rotated' },
    )
    if (rotation.outcome === 'unknown') return refused('key-unknown')
    if (rotation.outcome === 'revoked') return refused('key-revoked')
    return { ok: true, key: rotation.key, text: minted.text }
  }

  /**
   * Whether a text is the present secret of a key within reach; the key where it is. Everything else is one answer: no text
   * tells of a key that who asks could not see. It says nothing of whether the key is good: that is in the key.
   */
  async validate(text: string, by: Actor): Promise<{ readonly valid: boolean; readonly key?: ApiKey }> {
    const shown = parseKey(text)
    const record = shown && (await this.#find(shown.id, by))
    if (record === undefined || !same(this.#parts.digest(text), record.digest)) return { valid: false }
    return { valid: true, key: shownKey(record) }
  }

  /**
   * On the first start of an installation, and never again: tenant `default`, its user `operator`, and a key with every
   * scope that lives for an hour, to make the next ones with (AK-11). `undefined` on every later start, and for all but one
   * of several servers that start at once.
   */
  async bootstrap(): Promise<IssuedKey | undefined> {
    const { store, installation, clock, random, recorder } = this.#parts
    if ((await installation.findFact('first-start')) !== undefined) return undefined
    const now = clock()
    const minted = mintKey(random)
    const tenant = 'default'
    const id = `usr_${base62(random, 12)}`
    const user = { id, tenant, name: 'operator', role: operatorRole, status: 'active' } as const
    const scopes = ['admin', 'read', 'write']
    const expiresAt = now + hour
    const key: NewKey = {
      ...this.#secretOf(minted),
      ...{ id: minted.id, tenant, owner: id, name: 'first-start', scopes, expiresAt },
    }
    const detail = { owner: id, name: key.name, scopes, expiresAt }
    const line = { action: 'installation.bootstrap', by: localOperator.id, tenant, key: key.id, detail } as const
    const first = await recorder.change(line, () => installation.createFirst(tenant, user, key, now), {
      done: (created) => created,
      undo: () => store.revokeKey(tenant, key.id, clock()),
    })
    return first ? { ok: true, key: shownOf(key, now), text: minted.text } : undefined
  }

  async #ownerOf(
    request: KeyOwner,
    by: Actor,
  ): Promise<{ readonly ok: true; readonly owner: User; readonly agent: Agent | undefined } | Refusal> {
    const { users, agents } = this.#parts
    const asItself = by.id.startsWith('agt_') && request.user === undefined && request.owner === undefined
    const agentId = request.agent ?? (asItself ? by.id : undefined)
    const agent = agentId === undefined ? undefined : await agents.findAgent(by.tenant, agentId)
    if (agentId !== undefined && agent === undefined) return refused('agent-unknown')
    if (request.user !== undefined && !reaches(by, request.tenant)) return refused('user-unknown')
    const owner =
      request.user === undefined
        ? await users.findUserById(by.tenant, agent?.owner ?? request.owner ?? by.id)
        : await users.findUser(request.tenant, request.user)
    const unknown = refused(agent === undefined ? 'user-unknown' : 'agent-unknown')
    if (owner === undefined) return unknown
    if (owner.id !== by.id && agent?.id !== by.id) {
      if (!administers(by, owner.tenant)) return unknown
      if (owner.role === operatorRole && !operates(by)) return refused('not-yours')
    }
    return { ok: true, owner, agent }
  }

  /** The key, where who asks may see it: their own, their agents', or as an administrator. */
  async #find(id: string, by: Actor): Promise<KeyRecord | undefined> {
    const record = await this.#parts.store.findKey(id)
    if (record === undefined || !reaches(by, record.tenant)) return undefined
    return isOwn(record, by) || administers(by, record.tenant) ? record : undefined
  }

  async #managed(id: string, by: Actor): Promise<{ readonly ok: true; readonly record: KeyRecord } | Refusal> {
    const record = await this.#find(id, by)
    if (record === undefined) return refused('key-unknown')
    const beyond = record.user.role === operatorRole && !isOwn(record, by) && !operates(by)
    return beyond ? refused('not-yours') : { ok: true, record }
  }

  #lifetime(asked: string | undefined): number | undefined {
    const { lifetimeMs, lifetimeMsMax } = this.#parts
    return asked === undefined ? Math.min(lifetimeMs, lifetimeMsMax) : parseLifetime(asked, lifetimeMsMax)
  }

  #secretOf(minted: MintedKey): NewSecret {
    return { digest: this.#parts.digest(minted.text), pepper: this.#parts.pepper, last4: minted.last4 }
  }
}

function isOwn(key: ApiKey, by: Actor): boolean {
  return key.owner === by.id || (key.agent !== undefined && key.agent === by.id)
}

function shownOf(key: NewKey, now: Instant): ApiKey {
  const { digest: _digest, pepper: _pepper, ...shown } = key
  return {
    ...shown,
    agent: key.agent,
    use: key.use ?? 'mcp',
    addressRanges: key.addressRanges,
    active: true,
    createdAt: now,
    updatedAt: now,
    revokedAt: undefined,
    lastUsedAt: undefined,
    version: 1,
  }
}

function shownKey(record: KeyRecord): ApiKey {
  const {
    digest: _digest,
    pepper: _pepper,
    user: _user,
    agentStatus: _agentStatus,
    tenantStatus: _tenantStatus,
    tenantScopes: _tenantScopes,
    retired: _retired,
    ...key
  } = record
  return key
}
