import type { AttackCase } from '../attack-case.ts'
import { answerCases } from './answers.ts'
import { apiKeyCases } from './api-keys.ts'
import { auditLogCases } from './audit-log.ts'
import { authorizationCases } from './authorization.ts'
import { configurationCases } from './configuration.ts'
import { controlCases } from './control.ts'
import { credentialCases } from './credentials.ts'
import { encryptionKeyCases } from './encryption-keys.ts'
import { eventCases } from './events.ts'
import { framingCases } from './framing.ts'
import { hiddenCases } from './hidden.ts'
import { introspectionCases } from './introspection.ts'
import { keptSealedCases } from './kept-sealed.ts'
import { limitCases } from './limits.ts'
import { loadCases } from './load.ts'
import { messageCases } from './messages.ts'
import { originCases } from './origin-and-host.ts'
import { pathCases } from './paths.ts'
import { revocationCases } from './revocation.ts'
import { sealedStateCases } from './sealed-state.ts'
import { secondFactorCases } from './second-factors.ts'
import { sessionCases } from './sessions.ts'
import { subjectCases } from './subjects.ts'
import { tokenCases } from './tokens.ts'
import { webSocketCases } from './web-socket.ts'
import { withdrawnSessionCases } from './withdrawn-sessions.ts'

/** Every row of the corpus that this release answers for. */
export const cases: readonly AttackCase[] = [
  ...framingCases,
  ...pathCases,
  ...messageCases,
  ...answerCases,
  ...auditLogCases,
  ...originCases,
  ...apiKeyCases,
  ...subjectCases,
  ...tokenCases,
  ...introspectionCases,
  ...revocationCases,
  ...credentialCases,
  ...authorizationCases,
  ...hiddenCases,
  ...sealedStateCases,
  ...sessionCases,
  ...withdrawnSessionCases,
  ...eventCases,
  ...keptSealedCases,
  ...encryptionKeyCases,
  ...loadCases,
  ...limitCases,
  ...controlCases,
  ...secondFactorCases,
  ...configurationCases,
  ...webSocketCases,
]
