import type { Instant } from '../../call.ts'
import { checkReach, type TenantReach } from '../../identity/reach.ts'
import type {
  Blocked,
  NewSubjectBlock,
  Subject,
  SubjectBlock,
  SubjectBlockQuery,
  SubjectStore,
} from '../../identity/subject-store.ts'
import { type IdentityState, isWithin, pageOf, shownOf } from './identity-state.ts'

export class MemorySubjectStore implements SubjectStore {
  readonly #state: IdentityState

  constructor(state: IdentityState) {
    this.#state = state
  }

  async blockSubject(block: NewSubjectBlock, now: Instant): Promise<SubjectBlock | 'tenant-unknown'> {
    if (block.tenant !== undefined) {
      checkReach(block.tenant)
      if (!this.#state.tenants.has(block.tenant)) return 'tenant-unknown'
    }
    const standing = this.#of(block).find(({ tenant }) => tenant === block.tenant)
    if (standing !== undefined) return standing
    const shown: SubjectBlock = { ...block, blockedAt: now }
    this.#state.blocks.set(block.id, { shown, changed: ++this.#state.revision })
    return shown
  }

  async findBlock(reach: TenantReach, id: string): Promise<SubjectBlock | undefined> {
    checkReach(reach)
    const block = this.#state.blocks.get(id)?.shown
    return block !== undefined && isSeen(reach, block) ? block : undefined
  }

  async listBlocks(query: SubjectBlockQuery): Promise<readonly SubjectBlock[]> {
    checkReach(query.tenant)
    const { tenant, issuer, subject } = query
    return pageOf(
      shownOf(this.#state.blocks.values()),
      query,
      (block) =>
        isSeen(tenant, block) &&
        (issuer ?? block.issuer) === block.issuer &&
        (subject ?? block.subject) === block.subject,
    )
  }

  async liftBlock(reach: TenantReach, id: string): Promise<SubjectBlock | undefined> {
    const block = await this.findBlock(reach, id)
    if (block === undefined || !this.#state.blocks.delete(id)) return undefined
    this.#state.revision++
    return block
  }

  async blocksOf(subject: Subject): Promise<Blocked> {
    const tenants = this.#of(subject).map(({ tenant }) => tenant)
    return {
      everywhere: tenants.includes(undefined),
      tenants: new Set(tenants.filter((tenant) => tenant !== undefined)),
    }
  }

  #of({ issuer, subject }: Subject): SubjectBlock[] {
    return [...shownOf(this.#state.blocks.values())].filter(
      (block) => block.issuer === issuer && block.subject === subject,
    )
  }
}

/** A block of every tenant is seen by who reaches every tenant. */
function isSeen(reach: TenantReach, { tenant }: SubjectBlock): boolean {
  return isWithin(reach, tenant ?? '')
}
