import { sql } from 'kysely'
import { mailPlace } from './mailbox.ts'
import { head, type SealedTable } from './sealed-rows.ts'

interface Letter {
  readonly revision: number
}

/** What replicas leave for each other of sessions. What is of no session is sealed with a key of the installation. */
export const sealedMail: SealedTable<Letter> = {
  kind: 'letters',
  family: 'mail',
  page(db, after, limit) {
    const first = db
      .selectFrom('mail')
      .select(['revision', 'tenant', head])
      .where('session', 'is not', null)
      .orderBy('revision')
      .limit(limit)
    return (after === undefined ? first : first.where('revision', '>', after.revision)).execute()
  },
  async find(db, { revision }) {
    const row = await db.selectFrom('mail').selectAll().where('revision', '=', revision).executeTakeFirst()
    if (row === undefined || row.session === null) return undefined
    const { tenant, session, sealed, id } = row
    const place = mailPlace(tenant, Buffer.from(session), Buffer.from(id), revision)
    return { tenant, sealed, place, salt: session }
  },
  async put(act, { revision }, before, sealed) {
    const { numUpdatedRows } = await act
      .updateTable('mail')
      .set({ sealed })
      .where('revision', '=', revision)
      .where('sealed', '=', before)
      .executeTakeFirst()
    return numUpdatedRows
  },
  /** Whoever has not read them yet notices the gap, and takes nothing that is remembered for granted. */
  async drop(act, letters) {
    // In one order with those who leave something.
    await act.updateTable('mail_revision').set({ value: sql<number>`value` }).execute()
    const revisions = letters.map(({ revision }) => revision)
    const gone = await act
      .deleteFrom('mail')
      .where('revision', 'in', revisions)
      .returning(sql<number>`length(sealed)`.as('bytes'))
      .execute()
    const bytes = gone.reduce((sum, row) => sum + row.bytes, 0)
    await act
      .updateTable('mail_revision')
      .set({ held: sql<number>`held - ${gone.length}`, bytes: sql<number>`bytes - ${bytes}` })
      .execute()
    return gone.length
  },
}
