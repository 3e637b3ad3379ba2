import type { KeyObject } from 'node:crypto'
import type { Clock, RandomBytes } from '../call.ts'
import type { Config } from '../config/schema.ts'
import { every } from '../every.ts'
import { CredentialNews } from '../identity/credential-news.ts'
import { Doors } from '../identity/doors.ts'
import { SigningKeys } from '../identity/signing-keys.ts'
import { SubjectRing } from '../identity/subject-ring.ts'
import { TenantRing } from '../identity/tenant-ring.ts'
import { Tokens } from '../identity/tokens.ts'
import { openSealer } from '../sealing/seal.ts'
import type { Identity } from './open-identity.ts'

/** What issues our tokens, and what those of others rest on. */
export interface TokenAuthority {
  readonly tokens: Tokens
  readonly signingKeys: SigningKeys
  /** Told where the server listens: until then no token is issued or taken. */
  readonly doors: Doors
  /** What is limited by its tenant without being known to the store. */
  readonly tenants: TenantRing
  /** Which subjects of other issuers are blocked. */
  readonly subjects: SubjectRing
  /** Told of subjects of other issuers that were blocked, or whose tenant was suspended or limited. */
  readonly news: CredentialNews
  /** Makes the first signing key where there is none, and begins to rotate. */
  start(): Promise<void>
  close(): void
}

export interface TokenAuthorityParts {
  readonly identity: Pick<Identity, 'stores' | 'poll' | 'signInRing' | 'recorder'>
  readonly config: Pick<Config, 'identity'>
  /** Seals the private parts of signing keys. */
  readonly sealingKey: KeyObject
  readonly clock: Clock
  readonly random: RandomBytes
  readonly report: (what: string, cause: unknown) => void
}

const dayMs = 86_400_000
/** A key that another server destroyed is refused within this. */
const tickMs = 1_000

/** Puts the parts together; reads and writes nothing yet. */
export function openTokens(parts: TokenAuthorityParts): TokenAuthority {
  const { identity, config, clock, random, report } = parts
  const { lifetimeMs, signingKeyDays } = config.identity.tokens
  const failed = (cause: unknown) => report('signing keys', cause)
  const signingKeys = new SigningKeys({
    store: identity.stores.signingKeys,
    sealer: openSealer(parts.sealingKey, random),
    random,
    clock,
    recorder: identity.recorder,
    tokenMs: lifetimeMs,
    rotationMs: signingKeyDays * dayMs,
    report: failed,
  })
  const doors = new Doors()
  const news = new CredentialNews(report)
  let timer: NodeJS.Timeout | undefined
  return {
    tokens: new Tokens({ keys: signingKeys, signIns: identity.signInRing, doors, random, clock, lifetimeMs }),
    signingKeys,
    doors,
    tenants: new TenantRing({ store: identity.stores.tenants, poll: identity.poll, news }),
    subjects: new SubjectRing({ store: identity.stores.subjects, poll: identity.poll, news }),
    news,
    async start() {
      await signingKeys.start()
      timer = every(tickMs, () => signingKeys.tick(), failed)
    },
    close: () => clearInterval(timer),
  }
}
