import { agentNoun } from './agent.ts'
import { alertNoun } from './alert.ts'
import { auditNoun } from './audit.ts'
import type { ControlCommand, Noun } from './control-command.ts'
import { encryptionKeyNoun } from './encryption-key.ts'
import { generateKeysNoun } from './generate-keys.ts'
import { keyNoun } from './key.ts'
import { ownNoun } from './own.ts'
import { roleNoun } from './role.ts'
import { secondFactorNoun } from './second-factor.ts'
import { serverNoun } from './server-state.ts'
import { sessionNoun } from './session.ts'
import { signInNoun, signInsOfUserNoun } from './sign-in.ts'
import { signingKeyNoun } from './signing-key.ts'
import { subjectNoun } from './subject.ts'
import { tenantNoun } from './tenant.ts'
import { userNoun } from './user.ts'

/** The nouns whose commands stand below their name, as `user create`; some have commands of two kinds. */
export const groups: ReadonlyMap<string, readonly Noun[]> = new Map([
  ['user', [userNoun, signInsOfUserNoun]],
  ['key', [keyNoun]],
  ['agent', [agentNoun]],
  ['tenant', [tenantNoun]],
  ['role', [roleNoun]],
  ['session', [sessionNoun]],
  ['sign-in', [signInNoun]],
  ['second-factor', [secondFactorNoun]],
  ['subject', [subjectNoun]],
  ['signing-key', [signingKeyNoun]],
  ['encryption-key', [encryptionKeyNoun]],
  ['audit', [auditNoun]],
  ['alert', [alertNoun]],
  ['server', [serverNoun]],
])

/** Commands that stand by themselves. */
export const single: readonly Noun[] = [generateKeysNoun, ownNoun]

export function allCommands(): readonly ControlCommand[] {
  return [...groups.values(), single].flat().flatMap(({ commands }) => commands)
}
