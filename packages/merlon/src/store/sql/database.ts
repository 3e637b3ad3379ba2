import type { CompiledQuery, Kysely } from 'kysely'
import { Fault } from '../../errors.ts'
import { type Engine, migrate } from './migrations.ts'
import { openSqlite } from './sqlite.ts'
import type { Tables } from './tables.ts'

/**
 * Where the tables are: a file of our own, or a PostgreSQL database. The URL is the URL itself, with its password; it is
 * not logged and appears in no error. `waitMs` is how long a change waits for another writer before it is given up.
 */
export type SqlTarget = ({ readonly file: string } | { readonly databaseUrl: string }) & { readonly waitMs?: number }

export interface SqlDatabase {
  readonly engine: Engine
  readonly db: Kysely<Tables>
  /**
   * Makes a query that only reads ready to be run often with other parameters. It reaches every tenant. On SQLite it reads
   * past the writer's queue; on PostgreSQL it has connections of its own, so that it is one round trip.
   */
  ready<Row>(query: CompiledQuery<Row>): (...parameters: (string | Uint8Array)[]) => Row[] | Promise<Row[]>
  close(): Promise<void>
}

/**
 * Opens the database and brings its tables up to date. `Fault('store.unavailable')` when it cannot be reached; an `Error`
 * that says what to do where its files are open to others or it comes from a newer version, whose rows we cannot read.
 */
export async function openDatabase(target: SqlTarget): Promise<SqlDatabase> {
  const database =
    'file' in target
      ? openSqlite(target.file, target.waitMs)
      : (await import('./postgres.ts')).openPostgres(target.databaseUrl, target.waitMs)
  try {
    const newer = await reaching(() => migrate(database.db, database.engine))
    if (newer.length > 0) {
      throw new Error(
        `the database was made by a newer Merlon (${newer.join(', ')}); start that one, or restore a backup`,
      )
    }
  } catch (error) {
    await database.close().catch(() => undefined)
    throw error
  }
  return database
}

/** Runs an act on the database. Whatever the engine throws means that we could not find out, never that it is not there. */
export async function reaching<T>(act: () => Promise<T>): Promise<T> {
  try {
    return await act()
  } catch (cause) {
    throw cause instanceof Fault ? cause : new Fault('store.unavailable', { cause })
  }
}
