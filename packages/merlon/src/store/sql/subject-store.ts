import type { Selectable } from 'kysely'
import type { Instant } from '../../call.ts'
import { checkReach, everyTenant, type TenantReach } from '../../identity/reach.ts'
import type {
  Blocked,
  NewSubjectBlock,
  Subject,
  SubjectBlock,
  SubjectBlockQuery,
  SubjectStore,
} from '../../identity/subject-store.ts'
import { Acts, Refused } from './acts.ts'
import { reaching, type SqlDatabase } from './database.ts'
import type { Tables } from './tables.ts'

type Place = { readonly tenant: string | null }

export class SqlSubjectStore implements SubjectStore {
  readonly #acts: Acts
  readonly #placesOf: (issuer: string, subject: string) => Place[] | Promise<Place[]>

  constructor(database: SqlDatabase) {
    this.#acts = new Acts(database)
    this.#placesOf = database.ready(
      database.db
        .selectFrom('blocked_subjects')
        .select('tenant')
        .where('issuer', '=', '')
        .where('subject', '=', '')
        .compile(),
    )
  }

  async blockSubject(block: NewSubjectBlock, now: Instant): Promise<SubjectBlock | 'tenant-unknown'> {
    const { id, issuer, subject, tenant, by } = block
    if (tenant !== undefined) checkReach(tenant)
    return this.#acts.change<SubjectBlock | 'tenant-unknown'>(tenant ?? everyTenant, async (act, changed) => {
      if (tenant !== undefined) {
        const place = await act.selectFrom('tenants').select('id').where('id', '=', tenant).executeTakeFirst()
        if (place === undefined) throw new Refused('tenant-unknown')
      }
      const standing = await act
        .selectFrom('blocked_subjects')
        .selectAll()
        .where('issuer', '=', issuer)
        .where('subject', '=', subject)
        .where('tenant', tenant === undefined ? 'is' : '=', tenant ?? null)
        .executeTakeFirst()
      if (standing !== undefined) throw new Refused(blockOf(standing))
      await act
        .insertInto('blocked_subjects')
        .values({ id, issuer, subject, tenant: tenant ?? null, blocked_by: by, blocked_at: now, changed })
        .execute()
      return { ...block, blockedAt: now }
    })
  }

  async findBlock(reach: TenantReach, id: string): Promise<SubjectBlock | undefined> {
    checkReach(reach)
    return this.#acts.read(reach, async (db) => {
      let blocks = db.selectFrom('blocked_subjects').selectAll().where('id', '=', id)
      if (reach !== everyTenant) blocks = blocks.where('tenant', '=', reach)
      const row = await blocks.executeTakeFirst()
      return row && blockOf(row)
    })
  }

  async listBlocks({ tenant, issuer, subject, after, limit }: SubjectBlockQuery): Promise<readonly SubjectBlock[]> {
    checkReach(tenant)
    return this.#acts.read(tenant, async (db) => {
      let blocks = db.selectFrom('blocked_subjects').selectAll()
      if (tenant !== everyTenant) blocks = blocks.where('tenant', '=', tenant)
      if (issuer !== undefined) blocks = blocks.where('issuer', '=', issuer)
      if (subject !== undefined) blocks = blocks.where('subject', '=', subject)
      if (after !== undefined) blocks = blocks.where('id', '>', after)
      return (await blocks.orderBy('id').limit(limit).execute()).map(blockOf)
    })
  }

  async liftBlock(reach: TenantReach, id: string): Promise<SubjectBlock | undefined> {
    checkReach(reach)
    return this.#acts.change<SubjectBlock | undefined>(reach, async (act) => {
      let blocks = act.deleteFrom('blocked_subjects').where('id', '=', id)
      if (reach !== everyTenant) blocks = blocks.where('tenant', '=', reach)
      const row = await blocks.returningAll().executeTakeFirst()
      if (row === undefined) throw new Refused(undefined)
      return blockOf(row)
    })
  }

  blocksOf({ issuer, subject }: Subject): Promise<Blocked> {
    return reaching(async () => {
      const places = (await this.#placesOf(issuer, subject)).map(({ tenant }) => tenant)
      return {
        everywhere: places.includes(null),
        tenants: new Set(places.filter((tenant) => tenant !== null)),
      }
    })
  }
}

function blockOf(row: Selectable<Tables['blocked_subjects']>): SubjectBlock {
  const { id, issuer, subject, tenant, blocked_by, blocked_at } = row
  return { id, issuer, subject, tenant: tenant ?? undefined, by: blocked_by, blockedAt: blocked_at }
}
