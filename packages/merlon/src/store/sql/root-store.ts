import type { Selectable } from 'kysely'
import { everyTenant } from '../../identity/reach.ts'
import type { KeptKey, KeptPurpose, RootStore } from '../../sealing/root-store.ts'
import { reaching, type SqlDatabase } from './database.ts'
import type { Engine } from './migrations.ts'
import { actWithin, readWithin } from './row-security.ts'
import type { Tables } from './tables.ts'

/** Which root key an installation has, in SQLite or PostgreSQL. */
export class SqlRootStore implements RootStore {
  readonly #database: SqlDatabase

  constructor(database: SqlDatabase) {
    this.#database = database
  }

  root(): Promise<string | undefined> {
    return reaching(async () => {
      const row = await this.#database.db
        .selectFrom('installation')
        .select('value')
        .where('name', '=', rootFact)
        .executeTakeFirst()
      return row?.value
    })
  }

  begin(root: string, kept: readonly KeptKey[]): Promise<string> {
    return this.#act(async (act) => {
      const { numInsertedOrUpdatedRows } = await act
        .insertInto('installation')
        .values({ name: rootFact, value: root })
        .onConflict((clash) => clash.doNothing())
        .executeTakeFirst()
      if (numInsertedOrUpdatedRows === 1n)
        for (const key of kept) await act.insertInto('kept_keys').values(rowOf(key)).execute()
      return (await standingRoot(act, this.#database.engine)) ?? root
    })
  }

  change(from: string, to: string): Promise<boolean> {
    return this.#act(async (act) => {
      await act
        .updateTable('installation')
        .set({ value: to })
        .where('name', '=', rootFact)
        .where('value', '=', from)
        .execute()
      return (await standingRoot(act, this.#database.engine)) === to
    })
  }

  wrapped(): Promise<ReadonlyMap<string, number>> {
    return reaching(() =>
      readWithin(this.#database, everyTenant, async (db) => {
        const counts = new Map<string, number>()
        const count = ({ root, keys }: { root: string; keys: number | string | bigint }) =>
          counts.set(root, (counts.get(root) ?? 0) + Number(keys))
        const kept = await db
          .selectFrom('kept_keys')
          .select((select) => ['root', select.fn.countAll().as('keys')])
          .groupBy('root')
          .execute()
        const data = await db
          .selectFrom('data_keys')
          .select((select) => ['root', select.fn.countAll().as('keys')])
          .where('destroyed_at', 'is', null)
          .groupBy('root')
          .execute()
        for (const row of [...kept, ...data]) count(row)
        return counts
      }),
    )
  }

  kept(): Promise<readonly KeptKey[]> {
    return reaching(async () => {
      const rows = await this.#database.db.selectFrom('kept_keys').selectAll().orderBy('purpose').execute()
      return rows.map(keyOf)
    })
  }

  async keep(fresh: readonly KeptKey[]): Promise<readonly KeptKey[]> {
    await this.#act(async (act) => {
      const standing = await standingRoot(act, this.#database.engine)
      for (const key of fresh) {
        if (key.root !== standing) continue
        await act
          .insertInto('kept_keys')
          .values(rowOf(key))
          .onConflict((clash) => clash.doNothing())
          .execute()
      }
    })
    return this.kept()
  }

  rewrap(
    purpose: KeptPurpose,
    from: string,
    to: { readonly root: string; readonly wrapped: Buffer },
  ): Promise<boolean> {
    return this.#act(async (act) => {
      await act
        .updateTable('kept_keys')
        .set({ root: to.root, wrapped: to.wrapped })
        .where('purpose', '=', purpose)
        .where('root', '=', from)
        .execute()
      const row = await act.selectFrom('kept_keys').select('root').where('purpose', '=', purpose).executeTakeFirst()
      return row?.root === to.root
    })
  }

  #act<T>(act: Parameters<typeof actWithin<T>>[2]): Promise<T> {
    return reaching(() => actWithin(this.#database, everyTenant, act))
  }
}

const rootFact = 'root-key-check'

type Act = Parameters<Parameters<typeof actWithin>[2]>[0]

/**
 * The root key that wraps what is new; undefined where no installation was begun. Nobody changes it until the act is done: on
 * PostgreSQL its row is held, on SQLite one act writes at a time.
 */
export async function standingRoot(act: Act, engine: Engine): Promise<string | undefined> {
  const rows = act.selectFrom('installation').select('value').where('name', '=', rootFact)
  const row = await (engine === 'postgres' ? rows.forShare() : rows).executeTakeFirst()
  return row?.value
}

function rowOf(key: KeptKey): Tables['kept_keys'] {
  return {
    purpose: key.purpose,
    root: key.root,
    wrapped: key.wrapped,
    derived_from: key.derivedFrom ?? null,
    created_at: key.createdAt,
  }
}

function keyOf(row: Selectable<Tables['kept_keys']>): KeptKey {
  return {
    purpose: row.purpose as KeptPurpose,
    root: row.root,
    wrapped: Buffer.from(row.wrapped),
    derivedFrom: row.derived_from ?? undefined,
    createdAt: row.created_at,
  }
}
