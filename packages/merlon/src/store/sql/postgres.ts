import { type CompiledQuery, Kysely, PostgresDialect } from 'kysely'
import pg from 'pg'
import type { SqlDatabase } from './database.ts'
import type { Tables } from './tables.ts'

/** Opens a pool of connections. Every wait has an end, so that a frozen server is an outage and not a hang. */
export function openPostgres(databaseUrl: string, waitMs = 4_000): SqlDatabase {
  // The message of a URL that does not parse repeats it, password and all.
  if (!/^postgres(ql)?:\/\//.test(databaseUrl) || !URL.canParse(databaseUrl)) {
    throw new Error('the database URL is not of the form postgres://user:password@host:port/database')
  }
  const pool = new pg.Pool({
    connectionString: databaseUrl,
    max: 10,
    connectionTimeoutMillis: 2_000,
    statement_timeout: 5_000,
    lock_timeout: waitMs,
    query_timeout: 6_000,
    idle_in_transaction_session_timeout: 10_000,
    keepAlive: true,
    application_name: 'merlon',
    types: { getTypeParser },
  })
  // An idle connection that breaks is replaced when one is next needed; the query that then fails says so.
  pool.on('error', () => undefined)
  const db = new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) })
  return {
    engine: 'postgres',
    db,
    ready<Row>(query: CompiledQuery<Row>) {
      return async (...parameters) => (await db.executeQuery<Row>({ ...query, parameters })).rows
    },
    async close() {
      await db.destroy()
      if (!pool.ended) await pool.end()
    },
  }
}

const int8 = 20

const getTypeParser: typeof pg.types.getTypeParser = (oid: number, format?: 'text' | 'binary') =>
  oid === int8 && format !== 'binary' ? exact : pg.types.getTypeParser(oid, format as 'text')

/** Moments and counters are far below 2^53; anything else in such a column is a row that we do not understand. */
function exact(text: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value)) throw new Error('a number in the database is out of range')
  return value
}
