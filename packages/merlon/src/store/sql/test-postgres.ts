import { randomBytes } from 'node:crypto'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { type Kysely, sql } from 'kysely'
import pg from 'pg'
import { expect, inject, vi } from 'vitest'

export interface TestPostgres {
  /**
   * Makes an empty database and answers its URL, as a plain role that owns it: row security does not hold a superuser. All
   * are dropped by `close`.
   */
  database(): Promise<string>
  close(): Promise<void>
}

/**
 * A PostgreSQL for one test file: the one of TEST_DATABASE_URL, else one that the run's global set-up (test/services.ts)
 * starts when first asked. Where there is none the reason is the answer, and is printed; with REQUIRE_SERVICES=1 it throws.
 */
export async function testPostgres(): Promise<TestPostgres | { readonly reason: string }> {
  const found = await ask()
  if ('url' in found) return databasesOf(found.url)
  if (process.env['REQUIRE_SERVICES'] === '1') throw new Error(found.reason)
  console.warn(`the tests on PostgreSQL are skipped: ${found.reason}`)
  return found
}

/** Resolves when one connection to this database waits for what another has locked. */
export function untilOneWaits<Tables>(db: Kysely<Tables>): Promise<void> {
  return vi.waitFor(
    async () => {
      const { rows } = await sql`
        select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`.execute(db)
      expect(rows).toHaveLength(1)
    },
    { timeout: 20_000, interval: 20 },
  )
}

async function ask(): Promise<{ url: string } | { reason: string }> {
  const asked = process.env['TEST_DATABASE_URL']
  if (asked !== undefined && asked !== '') return { url: asked }
  const port: number | undefined = inject('postgresBroker' as never)
  if (port === undefined) return { reason: 'the vitest configuration does not name test/services.ts as globalSetup' }
  return JSON.parse(await text(connect(port, '127.0.0.1')))
}

function databasesOf(serverUrl: string): TestPostgres {
  const names: string[] = []
  const run = async (statement: string) => {
    const client = new pg.Client({ connectionString: serverUrl })
    await client.connect()
    try {
      await client.query(statement)
    } finally {
      await client.end()
    }
  }
  return {
    async database() {
      const name = `merlon_test_${randomBytes(6).toString('hex')}`
      const password = randomBytes(12).toString('hex')
      await run(`create role ${name} login password '${password}'`)
      names.push(name)
      await run(`create database ${name} owner ${name}`)
      const url = new URL(serverUrl)
      url.pathname = `/${name}`
      url.username = name
      url.password = password
      return url.href
    },
    async close() {
      for (const name of names.splice(0)) {
        await run(`drop database if exists ${name} with (force)`)
        await run(`drop role if exists ${name}`)
      }
    },
  }
}
