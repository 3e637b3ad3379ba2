import type { Instant } from '../call.ts'

/** What a key is for that the installation keeps for itself. No two share one. */
export const keptPurposes = [
  'api-key-pepper',
  'session-id',
  'event-id',
  'question-id',
  'mail',
  'request-state',
  'cursor',
  'signing-key',
  'second-factor',
  'recovery-code',
  'audit-head',
  'audit-digest',
] as const
export type KeptPurpose = (typeof keptPurposes)[number]

/** A key of the installation as it is kept: wrapped by the root key, of use to nobody without it. */
export interface KeptKey {
  readonly purpose: KeptPurpose
  /** Which root key wraps it: its `rootKeyCheck`. */
  readonly root: string
  readonly wrapped: Buffer
  /** The root key that it was derived from, where it was not made at random: who has that one has this one too. */
  readonly derivedFrom: string | undefined
  readonly createdAt: Instant
}

/** Which root key an installation has, and what that wraps for itself. Every verb is one atomic act and durable when it answers. */
export interface RootStore {
  /** The check of the root key that wraps what is new; undefined in a new store. */
  root(): Promise<string | undefined>
  /** Begins a new store with this root key and these keys, all or none of it. Answers the root key that stands. */
  begin(root: string, kept: readonly KeptKey[]): Promise<string>
  /** From now on `to` wraps what is new, where `from` did. From then on no data key is taken that another wraps. Answers whether it is `to` now. */
  change(from: string, to: string): Promise<boolean>
  /** How many keys, data keys too, each root key wraps; those that are destroyed are none. */
  wrapped(): Promise<ReadonlyMap<string, number>>
  kept(): Promise<readonly KeptKey[]>
  /** Adds those whose purpose has none yet. Answers those that stand. */
  keep(fresh: readonly KeptKey[]): Promise<readonly KeptKey[]>
  /** Wraps one anew where `from` wraps it: true where this call did, or it had been done. */
  rewrap(purpose: KeptPurpose, from: string, to: { readonly root: string; readonly wrapped: Buffer }): Promise<boolean>
}
