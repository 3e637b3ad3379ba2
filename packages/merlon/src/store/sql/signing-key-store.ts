import type { Selectable } from 'kysely'
import type { Instant } from '../../call.ts'
import type { NewSigningKey, SigningKey, SigningKeyStore } from '../../identity/signing-key-store.ts'
import { reaching, type SqlDatabase } from './database.ts'
import type { Tables } from './tables.ts'

type Row = Selectable<Tables['signing_keys']>

export class SqlSigningKeyStore implements SigningKeyStore {
  readonly #database: SqlDatabase

  constructor(database: SqlDatabase) {
    this.#database = database
  }

  addSigningKey(key: NewSigningKey, newest: string | undefined, now: Instant): Promise<boolean> {
    return reaching(() =>
      this.#database.db.transaction().execute(async (act) => {
        const last = await act
          .selectFrom('signing_keys')
          .select(['id', 'place'])
          .orderBy('place', 'desc')
          .limit(1)
          .executeTakeFirst()
        if (last?.id !== newest) return false
        const { id, alg, publicJwk, sealed, activeFrom } = key
        const { numInsertedOrUpdatedRows } = await act
          .insertInto('signing_keys')
          .values({
            ...{ id, place: (last?.place ?? 0) + 1, alg, public_jwk: publicJwk, sealed },
            ...{ created_at: now, active_from: activeFrom, retired_at: null, destroyed_at: null },
          })
          // Where two come at once, both for the same place, the second finds it taken.
          .onConflict((conflict) => conflict.doNothing())
          .executeTakeFirst()
        return numInsertedOrUpdatedRows === 1n
      }),
    )
  }

  listSigningKeys(): Promise<readonly SigningKey[]> {
    return reaching(async () => {
      const rows = await this.#database.db.selectFrom('signing_keys').selectAll().orderBy('place').execute()
      return rows.map(keyOf)
    })
  }

  retireSigningKey(id: string, now: Instant): Promise<SigningKey | undefined> {
    return reaching(() =>
      this.#database.db.transaction().execute(async (act) => {
        await act
          .updateTable('signing_keys')
          .set({ retired_at: now })
          .where('id', '=', id)
          .where('retired_at', 'is', null)
          .execute()
        const row = await act.selectFrom('signing_keys').selectAll().where('id', '=', id).executeTakeFirst()
        return row && keyOf(row)
      }),
    )
  }

  destroySigningKey(id: string, now: Instant): Promise<boolean> {
    return reaching(async () => {
      const { numUpdatedRows } = await this.#database.db
        .updateTable('signing_keys')
        .set({ sealed: null, destroyed_at: now })
        .where('id', '=', id)
        .where('retired_at', 'is not', null)
        .where('destroyed_at', 'is', null)
        .executeTakeFirst()
      return numUpdatedRows === 1n
    })
  }
}

function keyOf(row: Row): SigningKey {
  return {
    id: row.id,
    alg: row.alg,
    publicJwk: row.public_jwk,
    sealed: row.sealed === null ? undefined : Buffer.from(row.sealed),
    createdAt: row.created_at,
    activeFrom: row.active_from,
    retiredAt: row.retired_at ?? undefined,
    destroyedAt: row.destroyed_at ?? undefined,
  }
}
