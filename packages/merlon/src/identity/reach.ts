/** Every tenant: for the operator of the installation. Written out, so that forgetting a tenant is not reaching all. */
export const everyTenant: unique symbol = Symbol('every tenant')
export type TenantReach = string | typeof everyTenant

/** Refuses a reach that is neither a named tenant nor every tenant: a value lost on the way must not widen a query. */
export function checkReach(tenant: TenantReach): void {
  if (tenant !== everyTenant && (typeof tenant !== 'string' || tenant === ''))
    throw new TypeError('no tenant was named')
}

/** A page of what is within reach, in the order of the ids, byte by byte. A page shorter than `limit` is the last. */
export interface PageQuery {
  readonly tenant: TenantReach
  /** The last id of the page before. */
  readonly after?: string
  readonly limit: number
}

/**
 * What came of a conditional change. `changed`: it is no longer the version that was expected, so what was decided on may
 * not be so any more, and nothing was done.
 */
export type Updated<Value, Refusal extends string = never> =
  | { readonly outcome: 'updated'; readonly value: Value }
  | { readonly outcome: 'unknown' | 'changed' | Refusal }
