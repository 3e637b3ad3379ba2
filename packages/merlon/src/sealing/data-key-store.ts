import type { Instant } from '../call.ts'

/** What a data key seals. A key for one purpose never opens what another sealed. */
export const dataPurposes = ['session', 'event'] as const
export type DataPurpose = (typeof dataPurposes)[number]

/** A data key as it is kept: wrapped by the root key, of use to nobody without it. */
export interface WrappedKey {
  /** 12 characters of base62. */
  readonly id: string
  readonly tenant: string
  readonly purpose: DataPurpose
  /** Which root key wraps it: its `rootKeyCheck`. */
  readonly root: string
  /** Empty once it was destroyed. */
  readonly wrapped: Buffer
  readonly createdAt: Instant
  /** Since when it seals nothing new; undefined for the one that seals now. */
  readonly replacedAt: Instant | undefined
  /** Since when nothing it sealed can be read. */
  readonly destroyedAt: Instant | undefined
}

/**
 * Where data keys are kept. Every verb is one atomic act and durable when it answers. There is at most one key of a tenant
 * and purpose that seals.
 */
export interface DataKeyStore {
  /**
   * The key that seals for this tenant and purpose. Where there is none, `fresh` becomes it: of several callers one wins.
   * Undefined where there is none and another root key wraps what is new: then nothing is taken.
   */
  claim(fresh: WrappedKey): Promise<WrappedKey | undefined>
  /**
   * Puts `fresh` in the place of the key that seals, if that is `replaces`; answers the one that seals after it. Undefined, and
   * nothing is done, where another root key wraps what is new.
   */
  replace(fresh: WrappedKey, replaces: string, now: Instant): Promise<WrappedKey | undefined>
  find(id: string): Promise<WrappedKey | undefined>
  /** All keys, by tenant, purpose and age. */
  list(): Promise<readonly WrappedKey[]>
  /** Wraps a key anew if `from` wraps it: true where this call did, or it had been done. */
  rewrap(id: string, from: string, to: { readonly root: string; readonly wrapped: Buffer }): Promise<boolean>
  /** Forgets a replaced key for good. `sealing`: it still seals, and stays. The first moment stays. */
  destroy(id: string, now: Instant): Promise<'destroyed' | 'unknown' | 'sealing'>
  /** How many were destroyed: it grows with each. */
  destroyed(): Promise<number>
}
