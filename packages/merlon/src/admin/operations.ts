import { agentOperations } from './agents.ts'
import { apiKeyOperations } from './api-keys.ts'
import { auditOperations } from './audit.ts'
import { authOperations } from './auth.ts'
import { documentOperations } from './documents.ts'
import { encryptionKeyOperations } from './encryption-keys.ts'
import type { Operation } from './operation.ts'
import { roleOperations } from './roles.ts'
import { secondFactorOperations } from './second-factor.ts'
import { sessionOperations } from './sessions.ts'
import { signInOperations } from './sign-ins.ts'
import { signingKeyOperations } from './signing-keys.ts'
import { subjectOperations } from './subjects.ts'
import { tenantOperations } from './tenants.ts'
import { userOperations } from './users.ts'
import { watchOperations } from './watch.ts'

/** Everything that the control plane does. The HTTP API, the OpenAPI document, the page and the command line are made from it. */
export const operations: readonly Operation[] = [
  ...authOperations,
  ...secondFactorOperations,
  ...userOperations,
  ...roleOperations,
  ...tenantOperations,
  ...apiKeyOperations,
  ...agentOperations,
  ...signInOperations,
  ...subjectOperations,
  ...sessionOperations,
  ...auditOperations,
  ...watchOperations,
  ...signingKeyOperations,
  ...encryptionKeyOperations,
  ...documentOperations(() => operations),
]

export const operationsByName: ReadonlyMap<string, Operation> = new Map(operations.map((each) => [each.name, each]))
