import type { Instant } from '../call.ts'
import type { PageQuery, TenantReach } from './reach.ts'

/** Where it is kept whose tokens are refused. For what every verb promises, see `key-store.ts`. */
export interface SubjectStore {
  /** Blocks a subject, or answers the block that stands already. */
  blockSubject(block: NewSubjectBlock, now: Instant): Promise<SubjectBlock | 'tenant-unknown'>
  findBlock(reach: TenantReach, id: string): Promise<SubjectBlock | undefined>
  listBlocks(query: SubjectBlockQuery): Promise<readonly SubjectBlock[]>
  /** Answers the block that was lifted, or `undefined` where there was none within reach. */
  liftBlock(reach: TenantReach, id: string): Promise<SubjectBlock | undefined>
  /** Where a subject is blocked, whatever the tenant: for judging its tokens. */
  blocksOf(subject: Subject): Promise<Blocked>
}

/** Somebody whom another issuer speaks for. `sub` means nothing without its issuer (RFC 7519 §4.1.2). */
export interface Subject {
  readonly issuer: string
  readonly subject: string
}

export interface Blocked {
  readonly everywhere: boolean
  readonly tenants: ReadonlySet<string>
}

export interface NewSubjectBlock extends Subject {
  readonly id: string
  /** Where. `undefined`: in every tenant. */
  readonly tenant: string | undefined
  /** Who did it. */
  readonly by: string
}

export interface SubjectBlock extends NewSubjectBlock {
  readonly blockedAt: Instant
}

/** Within the reach of a tenant a block of every tenant is not seen: it is the operator's. */
export interface SubjectBlockQuery extends PageQuery {
  readonly issuer?: string
  readonly subject?: string
}

/** As a principal of it is named. An issuer has no fragment (RFC 8414 §2), so no two subjects have one name. */
export function subjectId({ issuer, subject }: Subject): string {
  return `${issuer}#${subject}`
}
