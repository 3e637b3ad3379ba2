import { sql } from 'kysely'
import type { TenantReach } from '../../identity/reach.ts'
import { operatorRole, operatorScope } from '../../identity/user-store.ts'
import type { Act, Acts } from './acts.ts'

/**
 * Whether there is a user, in this tenant or, where none is named, in the installation, who is an operator and can act: a
 * tenant that is limited to less leaves its operators nothing to act with.
 */
export function hasOperator(acts: Acts, act: Act, reach: TenantReach, tenant?: string): Promise<boolean> {
  return acts.everywhere(act, reach, async (everywhere) => {
    let operators = everywhere
      .selectFrom('users')
      .innerJoin('tenants', 'tenants.id', 'users.tenant')
      .select('users.id')
      .where('users.role', '=', operatorRole)
      .where('users.status', '=', 'active')
      .where('users.removed_at', 'is', null)
      .where('tenants.status', '=', 'active')
      .where(sql<boolean>`(tenants.scopes is null or ' ' || tenants.scopes || ' ' like ${`% ${operatorScope} %`})`)
      .limit(1)
    if (tenant !== undefined) operators = operators.where('users.tenant', '=', tenant)
    return (await operators.executeTakeFirst()) !== undefined
  })
}
