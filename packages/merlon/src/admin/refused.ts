import { Fault } from '../errors.ts'
import { type Refusal, type RefusedBecause, refusals } from '../identity/refusal.ts'
import { invalid } from './fields.ts'

/** What a caller is told of a refusal, beyond its kind. */
const sentences: Readonly<Record<RefusedBecause, string>> = {
  'name-malformed': 'a name is 1 to 64 letters, digits, spaces and . _ @ : / -, and begins with a letter or a digit',
  'email-malformed': 'not an e-mail address',
  'type-malformed': 'not a type of agent',
  'capabilities-malformed': 'not a list of capabilities',
  'metadata-malformed': 'too large, too deep, or not JSON',
  'scope-malformed': 'a scope is 1 to 64 of a-z 0-9 : . _ -, and begins with a letter; there must be one',
  'address-range-malformed': 'not an address range such as 192.0.2.0/24',
  'lifetime-refused': 'not a lifetime such as 90d, 12h or 30m, or longer than the configuration allows',
  'grace-refused': 'not a time such as 24h, 30m or 0, or longer than the longest grace',
  'role-unknown': 'the configuration names no such role',
  'issuer-unknown': 'the configuration names no such issuer',
  'subject-malformed': 'a subject is 1 to 255 visible ASCII characters',
  'password-length': 'a password is 8 to 1024 characters',
  'password-common': 'a password that is often used, or made of the name, is soon guessed',
  'password-wrong': 'not the present password',
  'code-wrong': 'not a code of now or a recovery code, or one that was used',
  'scope-beyond-yours': 'Nobody grants more than they hold.',
  'not-yours': 'It takes an administrator, or an operator.',
  'user-unknown': '',
  'tenant-unknown': '',
  'agent-unknown': '',
  'key-unknown': '',
  'sign-in-unknown': '',
  'subject-unknown': '',
  'signing-key-unknown': '',
  'name-taken': 'The name is taken.',
  'email-taken': 'The e-mail address is taken.',
  'tenant-taken': 'There is such a tenant already.',
  'key-revoked': 'The key is revoked.',
  'key-expired': 'The key has expired.',
  'second-factor-on': 'There is a second factor already. Take it away first.',
  'second-factor-off': 'There is no second factor.',
  'last-operator': 'The last active operator stays one.',
  'last-administrator': 'The tenant keeps an administrator.',
  changed: '',
}

/** What identity refused, as this API says it. What is not within reach is the same bytes as what is not there. */
export function faultOf({ reason }: Refusal): Fault {
  const { kind, field } = refusals[reason]
  const says = sentences[reason]
  switch (kind) {
    case 'invalid':
      return invalid([{ path: `body.${field}`, says }])
    case 'unknown':
      return new Fault('entry.unknown', { reason })
    case 'forbidden':
      return new Fault('change.forbidden', { says, reason })
    case 'conflict':
      return new Fault('change.conflict', { says, reason, data: { field } })
    case 'stale':
      return new Fault('version.stale', { reason })
  }
}

/** What was done, or the refusal thrown. */
export function done<Done extends { readonly ok: true }>(outcome: Done | Refusal): Done {
  if (!outcome.ok) throw faultOf(outcome)
  return outcome
}
