import type { Awaitable, Instant, ScopeSet } from '../call.ts'
import { Fault } from '../errors.ts'
import { scopeSet } from '../policy/scopes.ts'
import type { ChangePoll } from './change-poll.ts'
import type { CredentialNews } from './credential-news.ts'
import type { TenantStanding } from './issuer.ts'
import { everyTenant } from './reach.ts'
import { Recent } from './recent.ts'
import type { TenantStore } from './tenant-store.ts'

export interface TenantRingParts {
  readonly store: Pick<TenantStore, 'findTenant'>
  readonly poll: Pick<ChangePoll, 'revision' | 'vouches' | 'follow'>
  /** Told of each foreign credential whose tenant was suspended or limited. */
  readonly news: Pick<CredentialNews, 'withdrawn' | 'changed'>
  /** How many subjects of each tenant are remembered, so that what they opened ends with it. Default 10,000. */
  readonly rememberedMax?: number
  /** How many tenants are remembered. Default 1,000. */
  readonly tenantsMax?: number
}

interface Known {
  readonly state: { readonly scopes: ScopeSet | undefined } | undefined
  readonly revision: number
  /** Who came from it lately: so that what they opened ends with it. */
  readonly credentials: Recent<string>
}

/**
 * Answers what a tenant is limited to, for subjects whom our own store does not know. From memory while a poll of the store
 * vouches that nothing about anybody has changed since.
 */
export class TenantRing implements TenantStanding {
  readonly #parts: TenantRingParts
  readonly #memory = new Map<string, Known>()

  constructor(parts: TenantRingParts) {
    this.#parts = parts
    parts.poll.follow(({ revision }) => {
      const older = [...this.#memory].filter(([, known]) => known.revision !== revision)
      return async () => {
        for (const [tenant, known] of older) await this.#look(tenant, known)
      }
    })
  }

  tenantAt(tenant: string, credential: string, now: Instant): Awaitable<Known['state']> {
    const { poll } = this.#parts
    const known = this.#memory.get(tenant)
    if (known === undefined || known.revision !== poll.revision || !poll.vouches(now))
      return this.#ask(tenant, credential)
    if (known.state !== undefined) note(known.credentials, credential)
    return known.state
  }

  async #ask(tenant: string, credential: string): Promise<Known['state']> {
    const before = this.#memory.get(tenant)?.credentials ?? new Recent<string>(this.#parts.rememberedMax ?? 10_000)
    const { state, credentials } = await this.#read(tenant, before)
    if (state !== undefined) note(credentials, credential)
    return state
  }

  async #look(tenant: string, before: Known): Promise<void> {
    const { news } = this.#parts
    const found = await this.#read(tenant, before.credentials).catch(() => undefined)
    // What it is now cannot be told, and nobody would look again: what is open is opened anew, if it may.
    if (found === undefined) return this.#renew(tenant, before)
    const { state } = found
    if (alike(before.state, state)) return
    for (const credential of before.credentials.values()) {
      if (state === undefined) news.withdrawn(credential, tenant)
      else news.changed(credential, tenant)
    }
    if (state === undefined) before.credentials.clear()
  }

  async #read(tenant: string, credentials: Recent<string>): Promise<Known> {
    const { store, poll } = this.#parts
    const revision = poll.revision
    const found = await store.findTenant(everyTenant, tenant).catch((cause: unknown) => {
      throw cause instanceof Fault ? cause : new Fault('store.unavailable', { cause })
    })
    const scopes = found?.scopes && scopeSet(found.scopes)
    const state = found?.status === 'active' ? { scopes } : undefined
    const known: Known = { state, revision: revision ?? Number.NaN, credentials }
    // One that is not there is asked about each time: names of our own making could not fill the memory.
    if (found !== undefined) {
      if (this.#memory.size >= (this.#parts.tenantsMax ?? 1_000) && !this.#memory.has(tenant)) this.#forgetOldest()
      this.#memory.set(tenant, known)
    }
    return known
  }

  /** Who came from it would not be told of its end any more. */
  #forgetOldest(): void {
    for (const [tenant, known] of this.#memory) {
      this.#memory.delete(tenant)
      this.#renew(tenant, known)
      return
    }
  }

  #renew(tenant: string, { credentials }: Known): void {
    for (const credential of credentials.values()) this.#parts.news.changed(credential, tenant)
  }
}

function note(credentials: Recent<string>, credential: string): void {
  if (credentials.get(credential) === undefined) credentials.set(credential, credential)
}

function alike(left: Known['state'], right: Known['state']): boolean {
  if (left === undefined || right === undefined) return left === right
  return [...(left.scopes ?? ['*'])].sort().join(' ') === [...(right.scopes ?? ['*'])].sort().join(' ')
}
