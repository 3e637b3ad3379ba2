import type { Kysely, Selectable } from 'kysely'
import type { Instant } from '../../call.ts'
import { everyTenant } from '../../identity/reach.ts'
import type { DataKeyStore, DataPurpose, WrappedKey } from '../../sealing/data-key-store.ts'
import { reaching, type SqlDatabase } from './database.ts'
import type { Engine } from './migrations.ts'
import { standingRoot } from './root-store.ts'
import { actWithin, readWithin } from './row-security.ts'
import type { Tables } from './tables.ts'

/** Data keys in SQLite or PostgreSQL. */
export class SqlDataKeyStore implements DataKeyStore {
  readonly #database: SqlDatabase

  constructor(database: SqlDatabase) {
    this.#database = database
  }

  async claim(fresh: WrappedKey): Promise<WrappedKey | undefined> {
    const database = this.#database
    const standing = await reaching(() =>
      readWithin(database, fresh.tenant, (db) => sealing(db, fresh).executeTakeFirst()),
    )
    if (standing !== undefined) return keyOf(standing)
    return reaching(() =>
      actWithin(database, fresh.tenant, async (act) => {
        if (await isTaken(act, database.engine, fresh)) await insert(act, fresh)
        const row = await sealing(act, fresh).executeTakeFirst()
        return row && keyOf(row)
      }),
    )
  }

  replace(fresh: WrappedKey, replaces: string, now: Instant): Promise<WrappedKey | undefined> {
    return reaching(() =>
      actWithin(this.#database, fresh.tenant, async (act) => {
        if (!(await isTaken(act, this.#database.engine, fresh))) return undefined
        await act
          .updateTable('data_keys')
          .set({ replaced_at: now })
          .where('id', '=', replaces)
          .where('tenant', '=', fresh.tenant)
          .where('purpose', '=', fresh.purpose)
          .where('replaced_at', 'is', null)
          .execute()
        await insert(act, fresh)
        return keyOf(await sealing(act, fresh).executeTakeFirstOrThrow())
      }),
    )
  }

  async find(id: string): Promise<WrappedKey | undefined> {
    const row = await reaching(() =>
      readWithin(this.#database, everyTenant, (db) =>
        db.selectFrom('data_keys').selectAll().where('id', '=', id).executeTakeFirst(),
      ),
    )
    return row && keyOf(row)
  }

  async list(): Promise<readonly WrappedKey[]> {
    const rows = await reaching(() =>
      readWithin(this.#database, everyTenant, (db) =>
        db
          .selectFrom('data_keys')
          .selectAll()
          .orderBy('tenant')
          .orderBy('purpose')
          .orderBy('created_at')
          .orderBy('id')
          .execute(),
      ),
    )
    return rows.map(keyOf)
  }

  rewrap(id: string, from: string, to: { readonly root: string; readonly wrapped: Buffer }): Promise<boolean> {
    return reaching(() =>
      actWithin(this.#database, everyTenant, async (act) => {
        await act
          .updateTable('data_keys')
          .set({ root: to.root, wrapped: to.wrapped })
          .where('id', '=', id)
          .where('root', '=', from)
          .execute()
        const row = await act.selectFrom('data_keys').select('root').where('id', '=', id).executeTakeFirst()
        return row?.root === to.root
      }),
    )
  }

  destroy(id: string, now: Instant): Promise<'destroyed' | 'unknown' | 'sealing'> {
    return reaching(() =>
      actWithin(this.#database, everyTenant, async (act) => {
        await act
          .updateTable('data_keys')
          .set({ destroyed_at: now, wrapped: Buffer.alloc(0) })
          .where('id', '=', id)
          .where('replaced_at', 'is not', null)
          .where('destroyed_at', 'is', null)
          .execute()
        const row = await act.selectFrom('data_keys').select('destroyed_at').where('id', '=', id).executeTakeFirst()
        if (row === undefined) return 'unknown'
        return row.destroyed_at === null ? 'sealing' : 'destroyed'
      }),
    )
  }

  destroyed(): Promise<number> {
    return reaching(() =>
      readWithin(this.#database, everyTenant, async (db) => {
        const { count } = await db
          .selectFrom('data_keys')
          .select((select) => select.fn.countAll<number>().as('count'))
          .where('destroyed_at', 'is not', null)
          .executeTakeFirstOrThrow()
        return Number(count)
      }),
    )
  }
}

type Act = Parameters<Parameters<typeof actWithin>[2]>[0]

/** A key that another root key wraps than the one of the installation would be left behind by a change of it. */
async function isTaken(act: Act, engine: Engine, { root }: WrappedKey): Promise<boolean> {
  const standing = await standingRoot(act, engine)
  return standing === undefined || standing === root
}

async function insert(act: Act, fresh: WrappedKey): Promise<void> {
  await act
    .insertInto('data_keys')
    .values(rowOf(fresh))
    .onConflict((clash) => clash.doNothing())
    .execute()
}

function sealing(act: Kysely<Tables>, { tenant, purpose }: WrappedKey) {
  return act
    .selectFrom('data_keys')
    .selectAll()
    .where('tenant', '=', tenant)
    .where('purpose', '=', purpose)
    .where('replaced_at', 'is', null)
}

function rowOf(key: WrappedKey): Tables['data_keys'] {
  return {
    id: key.id,
    tenant: key.tenant,
    purpose: key.purpose,
    root: key.root,
    wrapped: key.wrapped,
    created_at: key.createdAt,
    replaced_at: key.replacedAt ?? null,
    destroyed_at: key.destroyedAt ?? null,
  }
}

function keyOf(row: Selectable<Tables['data_keys']>): WrappedKey {
  return {
    id: row.id,
    tenant: row.tenant,
    purpose: row.purpose as DataPurpose,
    root: row.root,
    wrapped: Buffer.from(row.wrapped),
    createdAt: row.created_at,
    replacedAt: row.replaced_at ?? undefined,
    destroyedAt: row.destroyed_at ?? undefined,
  }
}
