import type { Awaitable, Instant } from '../call.ts'
import { Fault } from '../errors.ts'
import type { ChangePoll } from './change-poll.ts'
import type { CredentialNews } from './credential-news.ts'
import type { Changes } from './installation-store.ts'
import { Recent } from './recent.ts'
import { type Blocked, type Subject, type SubjectStore, subjectId } from './subject-store.ts'

export interface SubjectRingParts {
  readonly store: Pick<SubjectStore, 'blocksOf'>
  readonly poll: Pick<ChangePoll, 'revision' | 'vouches' | 'follow'>
  /** Told of each subject that was blocked. */
  readonly news: Pick<CredentialNews, 'withdrawn'>
  /** How many subjects are remembered. Default 10,000. */
  readonly rememberedMax?: number
}

/**
 * Answers whether a subject is blocked. As for sign-ins, a no may come from memory while a poll of the store vouches for it;
 * a yes is asked of the store, so that nothing needs to be told where a block is lifted. An outage is
 * `Fault('store.unavailable')`.
 */
export class SubjectRing {
  readonly #parts: SubjectRingParts
  readonly #memory: Recent<Blocked>

  constructor(parts: SubjectRingParts) {
    this.#parts = parts
    this.#memory = new Recent(parts.rememberedMax ?? 10_000)
    parts.poll.follow((changes, everything) => this.#forget(changes, everything))
  }

  /** `id` is that of the subject, which whoever asks often has at hand. */
  isBlocked(id: string, subject: Subject, tenant: string, now: Instant): Awaitable<boolean> {
    if (this.#parts.poll.vouches(now)) {
      const known = this.#memory.get(id)
      if (known !== undefined && !blocks(known, tenant)) return false
    }
    return this.#ask(id, subject, tenant)
  }

  async #ask(id: string, subject: Subject, tenant: string): Promise<boolean> {
    const { store, poll } = this.#parts
    const { revision } = poll
    const found = await store.blocksOf(subject).catch((cause: unknown) => {
      throw cause instanceof Fault ? cause : new Fault('store.unavailable', { cause })
    })
    // Where a poll moved the revision meanwhile, it may have told of a block that was made after we read.
    if (revision !== undefined && revision === poll.revision) this.#memory.set(id, found)
    return blocks(found, tenant)
  }

  #forget({ subjects }: Changes, everything: boolean): () => Promise<void> {
    if (everything) this.#memory.clear()
    for (const subject of subjects) this.#memory.delete(subjectId(subject))
    return async () => {
      for (const subject of subjects) this.#parts.news.withdrawn(subjectId(subject), subject.tenant)
    }
  }
}

function blocks({ everywhere, tenants }: Blocked, tenant: string): boolean {
  return everywhere || tenants.has(tenant)
}
