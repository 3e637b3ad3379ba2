import { type CompiledQuery, Kysely, PostgresDialect } from 'kysely'
import pg from 'pg'
import type { SqlDatabase } from './database.ts'
import { everyTenantMark, tenantSetting } from './row-security.ts'
import type { Tables } from './tables.ts'

/** Opens two pools of connections. Every wait has an end, so that a frozen server is an outage and not a hang. */
export function openPostgres(databaseUrl: string, waitMs = 4_000): SqlDatabase {
  // The message of a URL that does not parse repeats it, password and all.
  if (!/^postgres(ql)?:\/\//.test(databaseUrl) || !URL.canParse(databaseUrl)) {
    throw new Error('the database URL is not of the form postgres://user:password@host:port/database')
  }
  const settings: pg.PoolConfig = {
    connectionString: databaseUrl,
    connectionTimeoutMillis: 2_000,
    statement_timeout: 5_000,
    lock_timeout: waitMs,
    query_timeout: 6_000,
    idle_in_transaction_session_timeout: 10_000,
    keepAlive: true,
    application_name: 'merlon',
    types: { getTypeParser },
  }
  const pool = new pg.Pool({ ...settings, max: 10 })
  // A key is looked for before anyone knows whose it is, at every call. These connections reach every tenant for as long as
  // they live, so that the look is one round trip and not a transaction of four; and so they can change nothing.
  const reads = new pg.Pool({
    ...settings,
    max: 5,
    verify(client, done) {
      client
        .query(`set ${tenantSetting} = '${everyTenantMark}'; set default_transaction_read_only = on`)
        .then(() => done(), done)
    },
  })
  for (const each of [pool, reads]) {
    // An idle connection that breaks is replaced when one is next needed.
    each.on('error', () => undefined)
    // One that breaks between two queries of a transaction tells so where nobody waits: the next query fails and says so.
    each.on('connect', (client) => client.on('error', () => undefined))
  }
  const db = new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) })
  return {
    engine: 'postgres',
    db,
    ready<Row>(query: CompiledQuery<Row>) {
      const { sql } = query
      return async (...parameters) => (await reads.query<Row & pg.QueryResultRow>(sql, parameters)).rows
    },
    async close() {
      await db.destroy()
      for (const each of [pool, reads]) if (!each.ended) await each.end()
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
