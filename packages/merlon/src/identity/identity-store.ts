import type { AgentStore } from './agent-store.ts'
import type { InstallationStore } from './installation-store.ts'
import type { KeyStore } from './key-store.ts'
import type { SecondFactorStore } from './second-factor-store.ts'
import type { SignInStore } from './sign-in-store.ts'
import type { SigningKeyStore } from './signing-key-store.ts'
import type { SubjectStore } from './subject-store.ts'
import type { TenantStore } from './tenant-store.ts'
import type { UserStore } from './user-store.ts'

/** Everything that says who may call, in one store that is opened once. */
export interface IdentityStores {
  readonly installation: InstallationStore
  readonly tenants: TenantStore
  readonly users: UserStore
  readonly secondFactors: SecondFactorStore
  readonly agents: AgentStore
  readonly keys: KeyStore
  readonly signIns: SignInStore
  readonly subjects: SubjectStore
  readonly signingKeys: SigningKeyStore
  close(): Promise<void>
}
