import { closeSync, fstatSync, openSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { type CompiledQuery, Kysely } from 'kysely'
import { Fault } from '../../errors.ts'
import { makeDataFolder, openToOthers, permissions } from '../../private-file.ts'
import type { SqlDatabase } from './database.ts'
import { sqliteDialect } from './sqlite-dialect.ts'
import type { Tables } from './tables.ts'

/**
 * Opens the embedded database: one writing connection, and one that only reads and never waits for it (WAL).
 * One process at a time has it: a server, or a command where none serves. The serving lock says so, not this.
 */
export function openSqlite(file: string, waitMs = 5_000): SqlDatabase {
  const path = resolve(file)
  keepPrivate(path)
  const open: DatabaseSync[] = []
  const connect = (readOnly: boolean) => {
    const connection = new DatabaseSync(path, { timeout: waitMs, enableForeignKeyConstraints: true, readOnly })
    open.push(connection)
    return connection
  }
  try {
    const writer = connect(false)
    writer.exec('pragma journal_mode = wal')
    const mode = writer.prepare('pragma journal_mode').get()
    if (mode?.['journal_mode'] !== 'wal') throw new Error('this file system does not allow a write-ahead log')
    // FULL syncs the log at every commit: what was acknowledged survives a power cut, not only a crash of ours.
    writer.exec('pragma synchronous = full; pragma trusted_schema = off; pragma busy_timeout = 0')
    const reader = connect(true)
    const db = new Kysely<Tables>({ dialect: sqliteDialect(writer, waitMs) })
    return {
      engine: 'sqlite',
      db,
      ready<Row>(query: CompiledQuery<Row>) {
        const { sql } = query
        let statement: ReturnType<DatabaseSync['prepare']> | undefined
        return (...parameters) => {
          statement ??= reader.prepare(sql)
          return statement.all(...parameters) as Row[]
        }
      },
      async close() {
        await db.destroy()
        for (const connection of open) if (connection.isOpen) connection.close()
      },
    }
  } catch (cause) {
    for (const connection of open) if (connection.isOpen) connection.close()
    throw new Fault('store.unavailable', { cause })
  }
}

/** Makes the file, and its folder, for their owner alone; refuses what others could replace or read. */
function keepPrivate(path: string): void {
  makeDataFolder(dirname(path))
  // SQLite gives its log and its index the mode of the database.
  const handle = openSync(path, 'a', 0o600)
  try {
    if (openToOthers(permissions(fstatSync(handle)))) {
      throw new Error(`others can read the database ${path}; run: chmod 600 ${path}`)
    }
  } finally {
    closeSync(handle)
  }
}
