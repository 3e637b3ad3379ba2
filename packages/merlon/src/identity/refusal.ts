/**
 * Why a change was refused, in words for programs. `kind` says what sort of answer it is: `forbidden` and `unknown` follow
 * from who asks, `invalid` from what they sent, `conflict` from what is there, `stale` from what has changed meanwhile.
 */
export const refusals = {
  'name-malformed': { kind: 'invalid', field: 'name' },
  'email-malformed': { kind: 'invalid', field: 'email' },
  'type-malformed': { kind: 'invalid', field: 'type' },
  'capabilities-malformed': { kind: 'invalid', field: 'capabilities' },
  'metadata-malformed': { kind: 'invalid', field: 'metadata' },
  'scope-malformed': { kind: 'invalid', field: 'scopes' },
  'address-range-malformed': { kind: 'invalid', field: 'addressRanges' },
  'lifetime-refused': { kind: 'invalid', field: 'lifetime' },
  'grace-refused': { kind: 'invalid', field: 'grace' },
  'role-unknown': { kind: 'invalid', field: 'role' },
  /** The configuration trusts no issuer of that name. */
  'issuer-unknown': { kind: 'invalid', field: 'issuer' },
  'subject-malformed': { kind: 'invalid', field: 'subject' },
  'password-length': { kind: 'invalid', field: 'password' },
  /** On the list of common passwords, or made of the user's own names. */
  'password-common': { kind: 'invalid', field: 'password' },
  /** The present password was not the one. */
  'password-wrong': { kind: 'invalid', field: 'current' },
  /** Not a code of now, or one that was used. */
  'code-wrong': { kind: 'invalid', field: 'code' },
  /** A scope or a role that the one who asks does not hold. */
  'scope-beyond-yours': { kind: 'forbidden', field: undefined },
  /** It is within reach, and only an administrator, or an operator, may do that. */
  'not-yours': { kind: 'forbidden', field: undefined },
  /** There is none, or none that the one who asks may know of. */
  'user-unknown': { kind: 'unknown', field: undefined },
  'tenant-unknown': { kind: 'unknown', field: undefined },
  'agent-unknown': { kind: 'unknown', field: undefined },
  'key-unknown': { kind: 'unknown', field: undefined },
  'sign-in-unknown': { kind: 'unknown', field: undefined },
  'subject-unknown': { kind: 'unknown', field: undefined },
  'signing-key-unknown': { kind: 'unknown', field: undefined },
  'name-taken': { kind: 'conflict', field: 'name' },
  'email-taken': { kind: 'conflict', field: 'email' },
  'tenant-taken': { kind: 'conflict', field: 'id' },
  'key-revoked': { kind: 'conflict', field: undefined },
  'key-expired': { kind: 'conflict', field: undefined },
  'second-factor-on': { kind: 'conflict', field: undefined },
  'second-factor-off': { kind: 'conflict', field: undefined },
  'last-operator': { kind: 'conflict', field: undefined },
  'last-administrator': { kind: 'conflict', field: undefined },
  changed: { kind: 'stale', field: undefined },
} as const satisfies Record<string, { kind: RefusalKind; field: string | undefined }>

export type RefusalKind = 'invalid' | 'forbidden' | 'unknown' | 'conflict' | 'stale'
export type RefusedBecause = keyof typeof refusals
export type Refusal<Reason extends RefusedBecause = RefusedBecause> = { readonly ok: false; readonly reason: Reason }

export function refused<Reason extends RefusedBecause>(reason: Reason): Refusal<Reason> {
  return { ok: false, reason }
}
