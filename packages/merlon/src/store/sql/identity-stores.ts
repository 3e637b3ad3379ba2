import type { IdentityStores } from '../../identity/identity-store.ts'
import { SqlAgentStore } from './agent-store.ts'
import { openDatabase, type SqlDatabase, type SqlTarget } from './database.ts'
import { SqlInstallationStore } from './installation-store.ts'
import { SqlKeyStore } from './key-store.ts'
import { SqlSecondFactorStore } from './second-factor-store.ts'
import { SqlSignInStore } from './sign-in-store.ts'
import { SqlSigningKeyStore } from './signing-key-store.ts'
import { SqlSubjectStore } from './subject-store.ts'
import { SqlTenantStore } from './tenant-store.ts'
import { SqlUserStore } from './user-store.ts'

/** Opens who may call in SQLite or PostgreSQL. `Fault('store.unavailable')` when the database cannot be reached. */
export async function openSqlIdentity(target: SqlTarget): Promise<IdentityStores> {
  return sqlIdentity(await openDatabase(target))
}

/** The same in a database that is open already. Closing them closes it. */
export function sqlIdentity(database: SqlDatabase): IdentityStores {
  return {
    installation: new SqlInstallationStore(database),
    tenants: new SqlTenantStore(database),
    users: new SqlUserStore(database),
    secondFactors: new SqlSecondFactorStore(database),
    agents: new SqlAgentStore(database),
    keys: new SqlKeyStore(database),
    signIns: new SqlSignInStore(database),
    subjects: new SqlSubjectStore(database),
    signingKeys: new SqlSigningKeyStore(database),
    close: () => database.close(),
  }
}
