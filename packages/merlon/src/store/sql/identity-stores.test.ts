import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe } from 'vitest'
import { keyStoreContract } from '../../identity/key-store.contract.ts'
import { peopleContract } from '../../identity/people.contract.ts'
import { subjectStoreContract } from '../../identity/subject-store.contract.ts'
import type { SqlTarget } from './database.ts'
import { openSqlIdentity } from './identity-stores.ts'
import { testPostgres } from './test-postgres.ts'

/** Each test has a database of its own to drop, which takes its time where the disk is busy. */
const dropMs = 60_000
const folder = mkdtempSync(join(tmpdir(), 'merlon-keys-'))
const postgres = await testPostgres()

afterAll(async () => {
  rmSync(folder, { recursive: true, force: true })
  if ('close' in postgres) await postgres.close()
}, dropMs)

const opening = (target: SqlTarget) => async () => ({
  stores: await openSqlIdentity(target),
  another: () => openSqlIdentity(target),
})

let files = 0
const onSqlite = async () => opening({ file: join(folder, `keys-${files++}.db`) })()
keyStoreContract('sql on SQLite', onSqlite)
peopleContract('sql on SQLite', onSqlite)
subjectStoreContract('sql on SQLite', onSqlite)

if ('reason' in postgres) describe.skip(`who may call, sql on PostgreSQL: ${postgres.reason}`, () => undefined)
else {
  const onPostgres = async () => opening({ databaseUrl: await postgres.database() })()
  keyStoreContract('sql on PostgreSQL', onPostgres)
  peopleContract('sql on PostgreSQL', onPostgres)
  subjectStoreContract('sql on PostgreSQL', onPostgres)
}
