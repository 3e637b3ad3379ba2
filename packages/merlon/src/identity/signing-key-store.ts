import type { Instant } from '../call.ts'

/** Where the keys are kept that sign our access tokens. They are the installation's: no tenant has its own. */
export interface SigningKeyStore {
  /**
   * Adds the key where `newest` is still the id of the one made last (`undefined`: there is none). Of several servers that
   * make one at once, one succeeds. Answers whether it was this call.
   */
  addSigningKey(key: NewSigningKey, newest: string | undefined, now: Instant): Promise<boolean>
  /** All of them, those destroyed included, in the order they were made. They are few. */
  listSigningKeys(): Promise<readonly SigningKey[]>
  /** It signs no more; tokens that it signed stay good. The same twice is once: the first moment stays. */
  retireSigningKey(id: string, now: Instant): Promise<SigningKey | undefined>
  /** Erases the private part of a retired key, and what it signed is good no longer. Answers whether it is destroyed now. */
  destroySigningKey(id: string, now: Instant): Promise<boolean>
}

export interface NewSigningKey {
  /** The `kid` of what it signs. */
  readonly id: string
  readonly alg: string
  /** The public key, as the JSON text of a JWK. */
  readonly publicJwk: string
  /** The private key, sealed. */
  readonly sealed: Buffer
  /** From when on it signs: by then every replica and every reader of the key set knows it. */
  readonly activeFrom: Instant
}

export interface SigningKey extends Omit<NewSigningKey, 'sealed'> {
  /** `undefined` once it is destroyed. */
  readonly sealed: Buffer | undefined
  readonly createdAt: Instant
  readonly retiredAt: Instant | undefined
  readonly destroyedAt: Instant | undefined
}
