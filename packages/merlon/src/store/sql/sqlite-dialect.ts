import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite'
import { setTimeout as pause } from 'node:timers/promises'
import {
  CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  type QueryResult,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from 'kysely'

/**
 * Kysely over one `node:sqlite` connection. Kysely gives the connection to one transaction at a time.
 *
 * SQLite's own wait for another writer holds the thread, and with it every call that the server is answering; where that
 * writer is another store of this very process, it would wait for itself. So the connection must be set to wait not at
 * all: a transaction that finds the database taken tries again, between other work, for `waitMs` in all.
 */
export function sqliteDialect(database: DatabaseSync, waitMs: number): Dialect {
  return {
    createAdapter: () => new SqliteAdapter(),
    createDriver: () => new SqliteDriver(database, waitMs),
    createIntrospector: (db) => new SqliteIntrospector(db),
    createQueryCompiler: () => new SqliteQueryCompiler(),
  }
}

const busy = 5
const triesPauseMs = 5

class SqliteDriver implements Driver {
  readonly #database: DatabaseSync
  readonly #connection: SqliteConnection
  readonly #waitMs: number

  constructor(database: DatabaseSync, waitMs: number) {
    this.#database = database
    this.#connection = new SqliteConnection(database)
    this.#waitMs = waitMs
  }

  async init(): Promise<void> {}

  async acquireConnection(): Promise<DatabaseConnection> {
    return this.#connection
  }

  async beginTransaction(connection: DatabaseConnection): Promise<void> {
    const until = performance.now() + this.#waitMs
    for (;;) {
      try {
        // A deferred transaction that reads first could not wait for another writer when it comes to write.
        await connection.executeQuery(CompiledQuery.raw('begin immediate'))
        return
      } catch (error) {
        if (!isBusy(error) || performance.now() >= until) throw error
      }
      await pause(triesPauseMs)
    }
  }

  async commitTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw('commit'))
  }

  async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    // SQLite has rolled back by itself after some errors, a full disk among them.
    if (this.#database.isTransaction) await connection.executeQuery(CompiledQuery.raw('rollback'))
  }

  async releaseConnection(): Promise<void> {}

  async destroy(): Promise<void> {
    if (this.#database.isOpen) this.#database.close()
  }
}

function isBusy(error: unknown): boolean {
  // The low byte is the kind of the error, the others tell it apart further.
  return error instanceof Error && 'errcode' in error && (Number(error.errcode) & 0xff) === busy
}

/** Statements kept ready. Their texts come from code, never from a client, so there are few. */
const statementsMax = 200

class SqliteConnection implements DatabaseConnection {
  readonly #database: DatabaseSync
  readonly #statements = new Map<string, StatementSync>()

  constructor(database: DatabaseSync) {
    this.#database = database
  }

  async executeQuery<Row>(query: CompiledQuery): Promise<QueryResult<Row>> {
    const statement = this.#prepare(query.sql)
    const parameters = query.parameters as SQLInputValue[]
    if (statement.columns().length > 0) return { rows: statement.all(...parameters) as Row[] }
    const { changes } = statement.run(...parameters)
    return { rows: [], numAffectedRows: BigInt(changes) }
  }

  // biome-ignore lint/correctness/useYield: Kysely asks for the method, and nothing here streams.
  async *streamQuery<Row>(): AsyncIterableIterator<QueryResult<Row>> {
    throw new Error('streaming is not offered on SQLite')
  }

  #prepare(text: string): StatementSync {
    const ready = this.#statements.get(text)
    if (ready !== undefined) return ready
    if (this.#statements.size >= statementsMax) this.#statements.clear()
    const statement = this.#database.prepare(text)
    this.#statements.set(text, statement)
    return statement
  }
}
