import type { Instant } from '../call.ts'

/** A signing key as it may be shown: nothing of its private part. */
export interface ShownSigningKey {
  readonly id: string
  readonly alg: string
  /**
   * `published`: in the key set, and does not sign yet. `signing`: signs. `retiring`: signs no more, and what it signed is
   * good until it ends. `destroyed`: nothing it signed is good.
   */
  readonly state: 'published' | 'signing' | 'retiring' | 'destroyed'
  readonly createdAt: Instant
  readonly activeFrom: Instant
  readonly retiredAt: Instant | undefined
  readonly destroyedAt: Instant | undefined
}
