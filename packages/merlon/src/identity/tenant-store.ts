import type { Instant } from '../call.ts'
import type { PageQuery, TenantReach, Updated } from './reach.ts'

/** Where tenants are kept. For what every verb promises, see `key-store.ts`. */
export interface TenantStore {
  /** Makes the tenant if it is not there. Answers whether it was made now. */
  ensureTenant(tenant: string, now: Instant): Promise<boolean>
  createTenant(tenant: NewTenant, now: Instant): Promise<'created' | 'taken'>
  findTenant(reach: TenantReach, id: string): Promise<Tenant | undefined>
  listTenants(query: PageQuery): Promise<readonly Tenant[]>
  /** Suspending the tenant of the last active operator, or limiting it to less than they need, is refused: nobody could lift it. */
  updateTenant(
    id: string,
    change: TenantChange,
    expected: number | undefined,
    now: Instant,
  ): Promise<Updated<Tenant, 'last-operator'>>
}

/** The credentials of a suspended tenant are refused. */
export type TenantStatus = 'active' | 'suspended'

export interface NewTenant {
  /** As `acme`; it is part of what credentials are bound to, and never changes. */
  readonly id: string
  /** For people to read. */
  readonly name: string
  /** What credentials of the tenant are limited to. `undefined`: no limit beyond role and credential; `[]`: nothing. */
  readonly scopes: readonly string[] | undefined
}

export interface Tenant extends NewTenant {
  readonly status: TenantStatus
  readonly createdAt: Instant
  readonly updatedAt: Instant
  /** Counts its changes. */
  readonly version: number
}

/** What is absent stays. `scopes: null` lifts the limit. */
export interface TenantChange {
  readonly name?: string
  readonly status?: TenantStatus
  readonly scopes?: readonly string[] | null
}
