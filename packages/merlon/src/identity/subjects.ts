import type { Clock, RandomBytes } from '../call.ts'
import { type Actor, administers, operates, reaches } from './actor.ts'
import { base62 } from './key-format.ts'
import { everyTenant } from './reach.ts'
import type { Recorder } from './recorded.ts'
import { type Refusal, refused } from './refusal.ts'
import type { SubjectBlock, SubjectStore } from './subject-store.ts'
import { subjectPattern } from './token-claims.ts'
import { type Listing, pageOf, reachOf } from './users.ts'

export interface SubjectsParts {
  readonly store: SubjectStore
  /** Whose tokens are taken here. */
  readonly issuers: ReadonlySet<string>
  readonly random: RandomBytes
  readonly clock: Clock
  readonly recorder: Recorder
}

export interface BlockRequest {
  readonly issuer: string
  readonly subject: string
  /** Default: as far as who asks reaches, for an operator every tenant. */
  readonly tenant?: string | undefined
}

export interface BlockListing extends Listing {
  readonly issuer?: string | undefined
  readonly subject?: string | undefined
}

type Done = { readonly ok: true; readonly block: SubjectBlock }

/**
 * What may be done with subjects of other issuers, whom no store of ours knows: an administrator blocks them in the tenant,
 * an operator in any or in all. Whoever blocked it, a subject is refused where one block says so.
 */
export class Subjects {
  readonly #parts: SubjectsParts

  constructor(parts: SubjectsParts) {
    this.#parts = parts
  }

  /** Refuses the tokens of a subject from the next call on, and closes what they have open. Blocking again is no error. */
  async block({ issuer, subject, tenant: asked }: BlockRequest, by: Actor): Promise<Done | Refusal> {
    const { store, issuers, random, clock, recorder } = this.#parts
    const tenant = asked ?? (by.tenant === everyTenant ? undefined : by.tenant)
    if (tenant !== undefined && !reaches(by, tenant)) return refused('tenant-unknown')
    if (!(tenant === undefined ? operates(by) : administers(by, tenant))) return refused('not-yours')
    // A block that nobody could ever meet would only look like one.
    if (!issuers.has(issuer)) return refused('issuer-unknown')
    if (!subjectPattern.test(subject)) return refused('subject-malformed')
    const id = `blk_${base62(random, 12)}`
    const block = await recorder.change(
      { action: 'subject.block', by: by.id, tenant, detail: { issuer, subject } },
      () => store.blockSubject({ id, issuer, subject, tenant, by: by.id }, clock()),
      { done: (made) => made !== 'tenant-unknown' },
    )
    return block === 'tenant-unknown' ? refused(block) : { ok: true, block }
  }

  async list(query: BlockListing, by: Actor): Promise<readonly SubjectBlock[]> {
    const tenant = reachOf(query, by)
    const { issuer, subject } = query
    if (tenant === undefined || (tenant === everyTenant ? !operates(by) : !administers(by, tenant))) return []
    return this.#parts.store.listBlocks({
      tenant,
      ...pageOf(query),
      ...(issuer === undefined ? {} : { issuer }),
      ...(subject === undefined ? {} : { subject }),
    })
  }

  /** Lets the subject in again where no other block stands. */
  async unblock(id: string, by: Actor): Promise<Done | Refusal> {
    const { store, recorder } = this.#parts
    const found = await store.findBlock(by.tenant, id)
    if (found === undefined) return refused('subject-unknown')
    const { issuer, subject, tenant } = found
    if (!(tenant === undefined ? operates(by) : administers(by, tenant))) return refused('subject-unknown')
    const block = await recorder.change(
      { action: 'subject.unblock', by: by.id, tenant, detail: { issuer, subject } },
      () => store.liftBlock(by.tenant, id),
      {
        done: (lifted) => lifted !== undefined,
        undo: () => store.blockSubject(found, found.blockedAt),
      },
    )
    return block === undefined ? refused('subject-unknown') : { ok: true, block }
  }
}
