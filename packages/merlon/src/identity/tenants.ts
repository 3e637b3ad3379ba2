import type { Clock } from '../call.ts'
import { type Actor, operates, reaches } from './actor.ts'
import { canonicalScopes, namePattern, tenantPattern } from './names.ts'
import type { Recorder } from './recorded.ts'
import { type Refusal, refused } from './refusal.ts'
import type { Tenant, TenantChange, TenantStore } from './tenant-store.ts'
import { type Listing, pageOf, reachOf } from './users.ts'

export interface TenantsParts {
  readonly store: TenantStore
  readonly clock: Clock
  readonly recorder: Recorder
}

export interface TenantRequest {
  /** As `acme`. */
  readonly id: string
  /** For people to read. Default: the id. */
  readonly name?: string | undefined
  /** What credentials of the tenant are limited to. Absent: no limit; `[]`: nothing. */
  readonly scopes?: readonly string[] | undefined
}

type Done = { readonly ok: true; readonly tenant: Tenant }

/** What may be done with tenants: everybody may see their own; to make and change them is for operators. */
export class Tenants {
  readonly #parts: TenantsParts

  constructor(parts: TenantsParts) {
    this.#parts = parts
  }

  async create({ id, name = id, scopes: asked }: TenantRequest, by: Actor): Promise<Done | Refusal> {
    const { store, clock, recorder } = this.#parts
    if (!operates(by)) return refused('not-yours')
    if (!tenantPattern.test(id) || !namePattern.test(name)) return refused('name-malformed')
    const scopes = asked && canonicalScopes(asked)
    if (asked !== undefined && scopes === undefined) return refused('scope-malformed')
    const outcome = await recorder.change(
      { action: 'tenant.create', by: by.id, tenant: id, detail: { name, ...(scopes && { scopes }) } },
      () => store.createTenant({ id, name, scopes }, clock()),
      {
        done: (created) => created === 'created',
        undo: () => store.updateTenant(id, { status: 'suspended' }, undefined, clock()),
      },
    )
    if (outcome === 'taken') return refused('tenant-taken')
    return this.get(id, by)
  }

  async get(id: string, by: Actor): Promise<Done | Refusal<'tenant-unknown'>> {
    const tenant = reaches(by, id) ? await this.#parts.store.findTenant(by.tenant, id) : undefined
    return tenant === undefined ? refused('tenant-unknown') : { ok: true, tenant }
  }

  async list(query: Listing, by: Actor): Promise<readonly Tenant[]> {
    const tenant = reachOf(query, by)
    return tenant === undefined ? [] : this.#parts.store.listTenants({ tenant, ...pageOf(query) })
  }

  /** Suspending a tenant refuses its credentials from the next call on, and closes what they have open. */
  async update(id: string, asked: TenantChange, by: Actor, expected?: number): Promise<Done | Refusal> {
    const { store, clock, recorder } = this.#parts
    const found = await this.get(id, by)
    if (!found.ok) return found
    if (!operates(by)) return refused('not-yours')
    const { name, status } = asked
    if (name !== undefined && !namePattern.test(name)) return refused('name-malformed')
    const scopes = asked.scopes && canonicalScopes(asked.scopes)
    if (asked.scopes && scopes === undefined) return refused('scope-malformed')
    if (expected !== undefined && expected !== found.tenant.version) return refused('changed')
    const change: TenantChange = {
      ...(name === undefined ? {} : { name }),
      ...(status === undefined ? {} : { status }),
      ...(scopes === undefined ? {} : { scopes }),
    }
    const detail = { fields: Object.keys(change), ...(status && { status }), ...(scopes && { scopes }) }
    const updated = await recorder.change(
      { action: 'tenant.update', by: by.id, tenant: id, detail },
      () => store.updateTenant(id, change, found.tenant.version, clock()),
      { done: ({ outcome }) => outcome === 'updated' },
    )
    if (updated.outcome === 'updated') return { ok: true, tenant: updated.value }
    return refused(updated.outcome === 'unknown' ? 'tenant-unknown' : updated.outcome)
  }
}
