import type { Instant } from '../../call.ts'
import { everyTenant } from '../../identity/reach.ts'
import { keyIdIn } from '../../sealing/record.ts'
import type { SealedRecord, SealedRecords } from '../../sealing/sealed-records.ts'
import { reaching } from './database.ts'
import { actLightly, actWithin, readWithin } from './row-security.ts'
import { head, type SealedParts } from './sealed-rows.ts'
import { dropSessions } from './session-acts.ts'
import { openSession, resealSession, type SealedSession } from './session-row.ts'

export interface SealedSessionsParts extends SealedParts {
  /** Lets those who remember sessions here hear of what has ended, as if another process had ended it. */
  readonly hear: (now: Instant) => Promise<void> | undefined
}

interface Found extends SealedRecord {
  readonly session: Uint8Array
}

/** The sessions of SQLite or PostgreSQL, for those who change keys. */
export class SqlSealedSessions implements SealedRecords {
  readonly kind = 'sessions'
  readonly purpose = 'session'
  readonly #parts: SealedSessionsParts

  constructor(parts: SealedSessionsParts) {
    this.#parts = parts
  }

  page(after: Found | undefined, limit: number): Promise<readonly Found[]> {
    return reaching(() =>
      readWithin(this.#parts.database, everyTenant, async (db) => {
        const first = db.selectFrom('sessions').select(['session', 'tenant', head]).orderBy('session').limit(limit)
        const rows = await (after === undefined ? first : first.where('session', '>', after.session)).execute()
        return rows.map(({ session, tenant, head }) => ({ session, tenant, key: keyIdIn(Buffer.from(head)) }))
      }),
    )
  }

  async check(record: Found): Promise<'opens' | 'unreadable' | 'gone'> {
    const row = await this.#row(record)
    if (row === undefined) return 'gone'
    return (await openSession(this.#parts.keys, row)).ok ? 'opens' : 'unreadable'
  }

  /**
   * Its next state: the text stays, and the number moves on, so that the row as it was does not open in its place and a change
   * that is under way notices.
   */
  async reseal(record: Found): Promise<'resealed' | 'unreadable' | 'gone'> {
    const { database, keys, random } = this.#parts
    const row = await this.#row(record)
    if (row === undefined) return 'gone'
    const next = await resealSession(keys, row, random)
    if (next === undefined) return 'unreadable'
    return reaching(() =>
      actLightly(database, async (act) => {
        const { numUpdatedRows } = await act
          .updateTable('sessions')
          .set(next)
          .where('session', '=', row.session)
          .where('version', '=', row.version)
          .executeTakeFirst()
        return numUpdatedRows === 1n ? 'resealed' : 'gone'
      }),
    )
  }

  async drop(records: readonly Found[], now: Instant): Promise<number> {
    const { database, hear } = this.#parts
    const digests = records.map(({ session }) => session)
    // What is heard first is old, so that what is heard after is what was ended here.
    await hear(now)
    const dropped = await reaching(() =>
      actWithin(database, everyTenant, (act) =>
        dropSessions(act, database.engine, now, (rows) => rows.where('session', 'in', digests)),
      ),
    )
    await hear(now)
    return dropped.length
  }

  #row({ session }: Found): Promise<SealedSession | undefined> {
    return reaching(() =>
      readWithin(this.#parts.database, everyTenant, (db) =>
        db.selectFrom('sessions').selectAll().where('session', '=', session).executeTakeFirst(),
      ),
    )
  }
}
